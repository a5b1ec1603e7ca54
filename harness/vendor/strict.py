"""A vendor that enforces a rate limit as vendors do: at arrival, by its own clock, and by four
methods at once.

It answers 429, without Retry-After, as soon as one method refuses a call. `sliding` allows at most
`calls` arrivals in any window; `fixed` opens a window with the first arrival after the last one
closed; `aligned` counts in windows of the clock, as in "per calendar second"; `bucket` is a token
bucket that holds `calls` and is refilled evenly.
"""

import random
import time
from collections import Counter, deque
from collections.abc import Callable
from threading import Lock

from harness.vendor.scripted import Answer, Arrival, VendorServer

Judge = Callable[[float], bool]  # Whether a call that arrives now is allowed. Counts it if so.


def sliding(calls: int, seconds: float) -> Judge:
    arrivals: deque[float] = deque(maxlen=calls)

    def allows(now: float) -> bool:
        if len(arrivals) == calls and now - arrivals[0] < seconds:
            return False
        arrivals.append(now)
        return True

    return allows


def fixed(calls: int, seconds: float) -> Judge:
    return _windows(calls, seconds, opens_at=lambda now: now)


def aligned(calls: int, seconds: float) -> Judge:
    return _windows(calls, seconds, opens_at=lambda now: now - now % seconds)


def _windows(calls: int, seconds: float, opens_at: Callable[[float], float]) -> Judge:
    opened, count = float("-inf"), 0

    def allows(now: float) -> bool:
        nonlocal opened, count
        if now - opened >= seconds:
            opened, count = opens_at(now), 0
        count += 1
        return count <= calls

    return allows


def bucket(calls: int, seconds: float) -> Judge:
    tokens, filled_at = float(calls), 0.0

    def allows(now: float) -> bool:
        nonlocal tokens, filled_at
        tokens, filled_at = min(calls, tokens + (now - filled_at) * calls / seconds), now
        if tokens < 1:
            return False
        tokens -= 1
        return True

    return allows


JUDGES = {"sliding": sliding, "fixed": fixed, "aligned": aligned, "bucket": bucket}


def named(arrival: Arrival) -> Answer:
    return Answer(body={"name": arrival.body.get("name")})


class StrictVendor(VendorServer):
    """Allows `calls` in `seconds`, and then answers as `answer` says.

    `jitter_seconds`: each call is delayed by a random time up to this before it is counted, as on
    a network.
    """

    def __init__(
        self,
        calls: int,
        seconds: float = 1,
        *,
        jitter_seconds: float = 0,
        answer: Callable[[Arrival], Answer] = named,
    ) -> None:
        self.allowed: list[float] = []  # monotonic seconds of the calls that were allowed
        self.refusals: Counter[str] = Counter()  # by judge
        self._jitter_seconds = jitter_seconds
        self._judges = {name: judge(calls, seconds) for name, judge in JUDGES.items()}
        self._lock = Lock()
        self._answer = answer
        super().__init__(self._judge)

    def _judge(self, arrival: Arrival) -> Answer:
        time.sleep(random.random() * self._jitter_seconds)
        if self._allows():
            return self._answer(arrival)
        return Answer(429, {"error": "slow down"})

    def _allows(self) -> bool:
        with self._lock:
            now = time.monotonic()
            refusing = [name for name, allows in self._judges.items() if not allows(now)]
            self.refusals.update(refusing)
            if not refusing:
                self.allowed.append(now)
            return not refusing
