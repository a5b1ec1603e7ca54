"""An account at a vendor that counts as vendors do: for each limit, the units of all calls that it
covers, and for each key on its own if the limit says so.

A call of `POST /<slug>` that exceeds a window is answered 429, one that exceeds a quota or whose
key has no credits left 402. A refused call counts nowhere.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from urllib.parse import urlsplit

from harness.vendor.scripted import Answer, Arrival, Script, VendorServer, done

TOO_FAST, UNPAID = 429, 402
KEY_HEADER = "x-api-key"


@dataclass(frozen=True)
class Allowance:
    """What the vendor allows: `windows` are units and seconds. A quota is `quota` units in each
    period of `period_seconds`, one of which begins at `since` in Unix time.
    """

    windows: tuple[tuple[int, float], ...] = ()
    quota: int | None = None
    period_seconds: float = 1.0
    since: float = 0.0
    per_key: bool = False
    slugs: frozenset[str] = frozenset()  # whose calls it counts; none: all calls


@dataclass
class Bucket:
    """What one allowance has counted, for one key or for all."""

    allowance: Allowance
    counted: list[tuple[float, int]] = field(default_factory=list)  # Unix seconds, and units
    periods: Counter[int] = field(default_factory=Counter)  # units, by number of the period
    _recent: list[deque[tuple[float, int]]] = field(default_factory=list)  # for each window
    _units: list[int] = field(default_factory=list)  # in each window

    def __post_init__(self) -> None:
        self._recent = [deque() for _ in self.allowance.windows]
        self._units = [0 for _ in self.allowance.windows]

    def refusal(self, now: float, units: int) -> int | None:
        """Return the status with which a call is refused that arrives now."""
        for index, (calls, seconds) in enumerate(self.allowance.windows):
            self._forget(index, now - seconds)
            if self._units[index] + units > calls:
                return TOO_FAST
        quota = self.allowance.quota
        if quota is not None and self.periods[self._period(now)] + units > quota:
            return UNPAID
        return None

    def count(self, now: float, units: int) -> None:
        self.counted.append((now, units))
        self.periods[self._period(now)] += units
        for index, recent in enumerate(self._recent):
            recent.append((now, units))
            self._units[index] += units

    def _forget(self, index: int, until: float) -> None:
        recent = self._recent[index]
        while recent and recent[0][0] <= until:
            self._units[index] -= recent.popleft()[1]

    def _period(self, now: float) -> int:
        return int((now - self.allowance.since) // self.allowance.period_seconds)


class Account(VendorServer):
    """Refuses what exceeds the allowances, and answers the rest as `answer` says.

    `weights`: the units of a call by the vendor's slug, 1 for the others. `credits`: how many more
    calls each key pays for; a key that is missing there never runs out.
    """

    def __init__(
        self,
        allowances: Mapping[str, Allowance],
        *,
        weights: Mapping[str, int] | None = None,
        answer: Script = done,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.allowances = dict(allowances)
        self.weights = dict(weights or {})
        self.credits: dict[str, int] = {}
        self.buckets: dict[tuple[str, str], Bucket] = {}  # by allowance and key, '' for all keys
        self.refusals: Counter[tuple[str, str]] = Counter()  # the same; ("credits", key) as well
        self._answer, self._clock, self._lock = answer, clock, Lock()
        super().__init__(self._judge)

    def address(self, slug: str) -> str:
        """Return the URL of the vendor with this slug."""
        return f"{self.url}{slug}"

    def _judge(self, arrival: Arrival) -> Answer | bytes:
        slug = urlsplit(arrival.path).path.strip("/").partition("/")[0]
        status = self.arrive(slug, arrival.headers.get(KEY_HEADER, ""))
        return self._answer(arrival) if status is None else Answer(status, {"error": "too much"})

    def arrive(self, slug: str, key: str) -> int | None:
        """Count a call, or return the status with which it is refused."""
        with self._lock:
            now, units = self._clock(), self.weights.get(slug, 1)
            buckets = dict(self._buckets(slug, key))
            found = {name: bucket.refusal(now, units) for name, bucket in buckets.items()}
            if self.credits.get(key, 1) <= 0:
                found["credits", key] = UNPAID
            refusals = {name: status for name, status in found.items() if status is not None}
            self.refusals.update(refusals.keys())
            if refusals:
                return max(refusals.values())
            for bucket in buckets.values():
                bucket.count(now, units)
            if key in self.credits:
                self.credits[key] -= 1
            return None

    def _buckets(self, slug: str, key: str) -> Iterator[tuple[tuple[str, str], Bucket]]:
        for name, allowance in self.allowances.items():
            if not allowance.slugs or slug in allowance.slugs:
                at = (name, key if allowance.per_key else "")
                yield at, self.buckets.setdefault(at, Bucket(allowance))
