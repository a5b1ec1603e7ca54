"""The calls that the mock vendors received, in the memory of this process."""

import time
from collections import deque
from itertools import count
from threading import Lock
from typing import Any

MAX_ARRIVALS = 200_000
MAX_URLS = 1000


class Ledger:
    """The latest arrivals, in order of arrival."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._arrivals: deque[dict[str, Any]] = deque(maxlen=MAX_ARRIVALS)
        self._indexes = count(1)

    def add(self, vendor: str, at: float, idempotency_key: str) -> dict[str, Any]:
        """Record a call and return its entry. The caller sets its status when it answers."""
        with self._lock:
            arrival = {
                "index": next(self._indexes),
                "at": at,
                "vendor": vendor,
                "idempotency_key": idempotency_key,
                "status": None,
            }
            self._arrivals.append(arrival)
        return arrival

    def since(self, index: int) -> list[dict[str, Any]]:
        """Return the arrivals after the one with this index, oldest first; all of them for 0."""
        with self._lock:
            return [arrival for arrival in self._arrivals if arrival["index"] > index]

    def clear(self) -> None:
        """Delete the arrivals. Indexes continue to rise."""
        with self._lock:
            self._arrivals.clear()


class Rates:
    """The calls accepted in the last second, for each URL with a rate."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._accepted: dict[str, deque[float]] = {}

    def accept(self, url: str, rate: int) -> bool:
        """Count a call and return True, unless it exceeds `rate` calls in any second."""
        now = time.monotonic()
        with self._lock:
            if len(self._accepted) > MAX_URLS:
                self._accepted.clear()
            accepted = self._accepted.setdefault(url, deque())
            while accepted and accepted[0] <= now - 1:
                accepted.popleft()
            if len(accepted) >= rate:
                return False
            accepted.append(now)
            return True


ledger = Ledger()
rates = Rates()
