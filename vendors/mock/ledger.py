"""The calls that came to the mock vendors, in the memory of this one process."""

import time
from collections import deque
from itertools import count
from threading import Lock
from typing import Any

MAX_ARRIVALS = 200_000
MAX_RATES = 1000


class Ledger:
    """The newest arrivals, in the order in which they were written down."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._arrivals: deque[dict[str, Any]] = deque(maxlen=MAX_ARRIVALS)
        self._indexes = count(1)

    def add(self, vendor: str, at: float, idempotency_key: str) -> dict[str, Any]:
        """Write down a call, and return its entry; its status is None until the vendor has made up
        its mind.
        """
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
        """Forget the arrivals; indexes go on rising."""
        with self._lock:
            self._arrivals.clear()


class Rates:
    """The calls taken in the last second, for each URL that asks for a rate of its own."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._taken: dict[str, deque[float]] = {}

    def take(self, url: str, rate: int) -> bool:
        """Whether one more call is within `rate` calls in any second; a call that is not does not
        count.
        """
        now = time.monotonic()
        with self._lock:
            if len(self._taken) > MAX_RATES:
                self._taken.clear()
            taken = self._taken.setdefault(url, deque())
            while taken and taken[0] <= now - 1:
                taken.popleft()
            if len(taken) >= rate:
                return False
            taken.append(now)
            return True


ledger = Ledger()
rates = Rates()
