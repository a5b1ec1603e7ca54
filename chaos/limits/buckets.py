"""What each bucket counted: at the limiter, as its witness saw it, and at the vendor."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from chaos.history import History, Story
from chaos.limits.definitions import KEYS, LIMITS, POLL_WEIGHTS, WEIGHTS
from chaos.limits.rules import Rules, margin_seconds, rules_of
from chaos.vendors import VENDORS
from chaos.witness import Witness
from vendors import limits
from vendors.models import Vendor

MICROSECONDS = 1_000_000


class Reached(NamedTuple):
    """A call or poll that has arrived at the vendor."""

    at: float  # Unix seconds
    units: int
    vendor: str
    key: str  # the name of the key that it was made with


@dataclass(frozen=True)
class Counted:
    """One window of a bucket: of a vendor's own, or of a limit and perhaps one key."""

    vendor: str
    limit: str
    key: str
    seconds: float  # as the vendor counts
    margin_seconds: float
    allowed: Callable[[float], int]  # how many units, in a window that ends then
    reached: Sequence[Reached]

    @property
    def name(self) -> str:
        bucket = self.vendor or (f"{self.limit} for {self.key}" if self.key else self.limit)
        return f"{self.seconds:g} s of {bucket} (limit {self.allowed(0)})"

    def starts_us(self, witness: Witness) -> list[int]:
        """Return when each unit was permitted."""
        if self.vendor:
            return witness.starts(self.vendor)
        return witness.starts_of_limit(self.limit, self.key)


def counted(history: History) -> Iterator[Counted]:
    """Yield every window of every bucket: those of the vendors, then those that they share."""
    for slug in VENDORS:
        yield from _own(history, slug)
    for limit, definition in LIMITS.items():
        rules = rules_of(history.journal, limit)
        for key in KEYS if "per" in definition else ("",):
            yield from _shared(history, limit, key, rules)


def _own(history: History, slug: str) -> Iterator[Counted]:
    fields = VENDORS[slug].fields
    names = ("rate_limits", "arrival_margin_ms")
    margin_ms = Vendor(**{name: fields[name] for name in names if name in fields}).arrival_margin_ms
    reached = list(reached_by(history, [slug]))
    for window in limits.parse(fields.get("rate_limits", "")):
        calls = window.calls
        yield Counted(
            *(slug, "", "", window.seconds, margin_ms / 1000),
            allowed=lambda at, calls=calls: calls,  # type: ignore[misc]
            reached=reached,
        )


def _shared(history: History, limit: str, key: str, rules: Rules) -> Iterator[Counted]:
    reached = [
        each
        for each in reached_by(history, rules.members)
        if each.key == key or not key
        if rules.surely_counts(each.vendor, each.at)
    ]
    for seconds in rules.lengths():
        yield Counted(
            *("", limit, key, seconds, margin_seconds()),
            allowed=lambda at, seconds=seconds: rules.calls(seconds, at),  # type: ignore[misc]
            reached=reached,
        )


def reached_by(history: History, vendors: Collection[str]) -> Iterator[Reached]:
    """Yield the calls and polls of these vendors that count anything."""
    for story in history.stories.values():
        if story.job.vendor in vendors:
            yield from _reached(story)


def _reached(story: Story) -> Iterator[Reached]:
    vendor = story.job.vendor
    for arrival in story.arrivals:
        yield Reached(arrival.at, WEIGHTS.get(vendor, 1), vendor, arrival.api_key)
    for poll in story.polls:
        if units := POLL_WEIGHTS.get(vendor, 1):
            yield Reached(poll.at, units, vendor, poll.api_key)


def units_us(reached: Sequence[Reached]) -> list[int]:
    """Return when each unit of these calls arrived, in microseconds and in order."""
    return sorted(
        int(each.at * MICROSECONDS) + unit for each in reached for unit in range(each.units)
    )
