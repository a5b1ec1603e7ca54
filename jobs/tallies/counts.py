"""What is counted in a minute, an hour or a day, and how it is added up."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

BUCKETS = 40
# The upper bounds of all buckets but the last, which takes whatever is longer (13.6 hours).
BOUNDS = tuple(0.01 * 1.5**n for n in range(BUCKETS - 1))
MIDDLE = 1 / math.sqrt(1.5)  # from the upper bound of a bucket to its geometric middle

OUTCOMES = ("found", "no_data", "pending", "error")  # of calls and polls
NUMBERS = ("accepted", "done", "failed", "cancelled", "cost", "refunded")
COUNTERS = ("calls", "polls", "call_codes", "job_codes", "events")
HISTOGRAMS = ("call", "job", "wait")
SAMPLES = ("waiting", "oldest_seconds")


class Histogram:
    """Durations in 40 buckets, each half as long again as the one before. A quantile is off by
    22 % at most.
    """

    __slots__ = ("buckets", "total")

    def __init__(self, buckets: Mapping[int, int] | None = None, total: float = 0.0) -> None:
        self.buckets: dict[int, int] = dict(buckets or {})  # number of the bucket, from 0: count
        self.total = total  # of all durations, in seconds

    def add(self, seconds: float) -> None:
        number = bisect_left(BOUNDS, seconds)
        self.buckets[number] = self.buckets.get(number, 0) + 1
        self.total += max(seconds, 0.0)  # clocks may disagree

    @classmethod
    def of(cls, number: int, count: int) -> Self:
        """Return so many durations of a bucket."""
        return cls({number: count}, count * _middle(number))

    def merge(self, other: "Histogram", sign: int = 1) -> None:
        for number, count in other.buckets.items():
            self.buckets[number] = self.buckets.get(number, 0) + sign * count
        self.total += sign * other.total

    @property
    def count(self) -> int:
        return sum(self.buckets.values())

    def quantile(self, q: float) -> float | None:
        """Return the duration, in seconds, below which a share `q` of all are; None without any."""
        rank, seen = q * self.count, 0
        for number in sorted(self.buckets):
            seen += self.buckets[number]
            if seen >= rank and seen > 0:
                return _middle(number)
        return None

    def cumulative(self) -> Iterable[tuple[float, int]]:
        """Yield for each bound how many durations are not above it; last for infinity."""
        seen = 0
        for number, bound in enumerate((*BOUNDS, math.inf)):
            seen += self.buckets.get(number, 0)
            yield bound, seen

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.as_json() == other.as_json()

    def __repr__(self) -> str:
        return f"Histogram({self.buckets}, {self.total})"

    def as_json(self) -> list[float]:
        """Return the total, followed by number and count of each bucket that is not empty."""
        filled = ((number, count) for number, count in sorted(self.buckets.items()) if count)
        return [round(self.total, 3), *(each for pair in filled for each in pair)]

    @classmethod
    def from_json(cls, value: list[Any]) -> Self:
        return cls(dict(zip(value[1::2], value[2::2], strict=True)), value[0])


def _middle(number: int) -> float:
    return (*BOUNDS, BOUNDS[-1] * 1.5)[number] * MIDDLE


@dataclass(slots=True)
class Counts:
    """What happened in some time, of one vendor or of several."""

    accepted: int = 0  # jobs
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    cost: float = 0.0  # what the calls cost, in the vendor's own unit
    refunded: float = 0.0  # what corrections have taken off that cost
    calls: Counter[str] = field(default_factory=Counter)  # that ended, by one of OUTCOMES
    polls: Counter[str] = field(default_factory=Counter)
    call_codes: Counter[str] = field(default_factory=Counter)  # of calls that failed
    job_codes: Counter[str] = field(default_factory=Counter)  # of jobs that failed
    events: Counter[str] = field(default_factory=Counter)  # by name, as `tallies.count` got them
    call: Histogram = field(default_factory=Histogram)  # how long calls took
    job: Histogram = field(default_factory=Histogram)  # from acceptance to the end of first runs
    wait: Histogram = field(default_factory=Histogram)  # from acceptance to the first call
    waiting: int | None = None  # the most jobs that waited at once, of those samples that we have
    oldest_seconds: float | None = None  # the longest that a job had been waiting, of the samples

    def merge(self, other: "Counts", sign: int = 1) -> None:
        """Add the others; `sign` -1 takes them away, but not samples."""
        for name in NUMBERS:
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))
        for name in COUNTERS:
            mine = getattr(self, name)
            for key, count in getattr(other, name).items():
                mine[key] += sign * count
        for name in HISTOGRAMS:
            getattr(self, name).merge(getattr(other, name), sign)
        self.sample(other.waiting, other.oldest_seconds)

    def sample(self, waiting: int | None, oldest_seconds: float | None) -> None:
        """Note how many jobs wait, and for how long the oldest does."""
        for name, value in (("waiting", waiting), ("oldest_seconds", oldest_seconds)):
            if value is not None:
                mine = getattr(self, name)
                setattr(self, name, value if mine is None else max(mine, value))

    def without_samples(self) -> "Counts":
        return replace(self, waiting=None, oldest_seconds=None)

    def as_json(self) -> dict[str, Any]:
        """Return what is not zero."""
        numbers = {name: getattr(self, name) for name in (*NUMBERS, *SAMPLES)}
        counters = {name: {k: n for k, n in getattr(self, name).items() if n} for name in COUNTERS}
        found = {name: value for name, value in (numbers | counters).items() if value}
        for name in HISTOGRAMS:
            if any(getattr(self, name).buckets.values()):
                found[name] = getattr(self, name).as_json()
        for name in SAMPLES:
            if numbers[name] is not None:
                found[name] = numbers[name]
        return found

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what `as_json` returned. Names that this release does not know are ignored."""
        found = cls()
        for name, each in value.items():
            if name in COUNTERS:
                setattr(found, name, Counter(each))
            elif name in HISTOGRAMS:
                setattr(found, name, Histogram.from_json(each))
            elif name in NUMBERS or name in SAMPLES:
                setattr(found, name, each)
        return found


def summed(several: Iterable[Counts]) -> Counts:
    total = Counts()
    for counts in several:
        total.merge(counts)
    return total


def across_vendors(several: Iterable[Counts]) -> Counts:
    """Return the sum of what happened to several vendors in the same minute, for which the jobs
    that wait add up too.
    """
    several = list(several)
    total = summed(several)
    samples = [counts.waiting for counts in several if counts.waiting is not None]
    total.waiting = sum(samples) if samples else None
    return total
