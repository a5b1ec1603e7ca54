"""Which limits were in force at a time, given the changes that the campaign made."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chaos.journal import Edit, Journal
from chaos.limits.definitions import LIMITS, MARGIN, MEMBERS
from vendors.limits import Window, parse

# After a change is stored, every worker acts on it: it reads the rows twice a second.
READ_SECONDS = 3.0
PARTS = {"workers", "redis", "store"}  # whose troubles may delay that
FOREVER = float("inf")


@dataclass(frozen=True)
class Setting:
    """A value that may have been in force from `since` to `until`, and surely was between
    `surely_since` and the beginning of the next change.
    """

    value: Any
    since: float
    surely_since: float
    surely_until: float
    until: float

    def may_be_in_force(self, at: float) -> bool:
        return self.since <= at <= self.until

    def is_in_force(self, at: float) -> bool:
        return self.surely_since <= at <= self.surely_until


def settings(journal: Journal, what: str, slug: str, first: Any) -> list[Setting]:
    """Return the values that a setting had, the first one before any change."""
    edits = [each for each in journal.edits if (each.what, each.slug) == (what, slug)]
    edits = [Edit(0.0, 0.0, what, slug, first), *edits, Edit(FOREVER, FOREVER, what, slug, None)]
    return [
        Setting(each.now, each.began, _read_by(journal, each), following.began, until)
        for each, following in pairwise(edits)
        for until in [_read_by(journal, following)]
    ]


def _read_by(journal: Journal, edit: Edit) -> float:
    return read_by(journal, edit.began, edit.ended)


def read_by(journal: Journal, began: float, ended: float) -> float:
    """Return by when all workers act on a change that was stored in this time: later if something
    keeps them from reading.
    """
    by = ended + READ_SECONDS
    for trouble in sorted(journal.troubles, key=lambda each: each.began):
        if trouble.part in PARTS and trouble.began < by and trouble.ended > began:
            by = max(by, trouble.ended + READ_SECONDS)
    return by


@dataclass(frozen=True)
class Rules:
    """The windows of one limit, which may have changed, and the vendors that name it."""

    windows: list[Setting]
    members: dict[str, list[Setting]]  # for each vendor, whether it names the limit

    def lengths(self) -> list[float]:
        """Return the lengths of its windows in seconds, as the vendor counts."""
        return [window.seconds for window in _parsed(self.windows[0].value)]

    def calls(self, seconds: float, at: float) -> int:
        """Return how many calls a window of this length may hold that ends then, at most."""
        return max(
            window.calls
            for setting in self.windows
            if setting.may_be_in_force(at)
            for window in _parsed(setting.value)
            if window.seconds == seconds
        )

    def surely_counts(self, slug: str, at: float) -> bool:
        return any(each.value and each.is_in_force(at) for each in self.members.get(slug, ()))


def rules_of(journal: Journal, limit: str) -> Rules:
    windows = settings(journal, "windows", limit, LIMITS[limit]["windows"])
    members = {
        slug: settings(
            journal, f"membership in {limit}", slug, first=limit in MEMBERS.get(slug, ())
        )
        for slug in _slugs(journal, limit)
    }
    return Rules(windows, members)


def _slugs(journal: Journal, limit: str) -> Iterator[str]:
    named = {each.slug for each in journal.edits if each.what == f"membership in {limit}"}
    yield from sorted(named | {slug for slug, limits in MEMBERS.items() if limit in limits})


def _parsed(text: str) -> list[Window]:
    return parse(text)


def margin_seconds() -> float:
    """By how much the limiter lengthens the windows of every limit here."""
    return MARGIN["arrival_margin_ms"] / 1000
