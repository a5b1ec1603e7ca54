"""Until when the tallies are folded, by span (jobs.models.TallyMark)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.models import EPOCH, Span, TallyMark
from jobs.storage.store import writing
from jobs.tallies.counts import Counts

ALL = "*"  # the vendor of folded rows that are of all vendors together


@dataclass(frozen=True)
class Marks:
    """Rows of a span are read before its mark, and those of the next shorter one after it."""

    minute: datetime = EPOCH
    hour: datetime = EPOCH
    day: datetime = EPOCH

    def of(self, span: Span) -> datetime:
        found: datetime = getattr(self, span.value)
        return found


def read() -> Marks:
    marks = TallyMark.objects.filter(pk__in=(Span.MINUTE, Span.HOUR, Span.DAY))
    return Marks(**dict(marks.values_list("id", "at")))


@dataclass(frozen=True)
class Before:
    """Everything that was counted before the mark of the hours."""

    at: datetime
    stored: Any  # as it is in the mark

    def by_vendor(self) -> dict[str, Counts]:
        return {vendor: Counts.from_json(each) for vendor, each in (self.stored or {}).items()}


def counted_before() -> Before:
    mark = TallyMark.objects.filter(pk=Span.HOUR).first()
    return Before(mark.at, mark.counts) if mark else Before(EPOCH, {})


def move(span: Span, since: datetime, until: datetime) -> bool:
    """Move the mark of minutes or days. Returns False if it is not where it was."""
    return _change(span, {"at": since}, until, {})


def move_hour(before: Before, until: datetime, counts: Mapping[str, Counts]) -> bool:
    """Move the mark of hours, with everything that was counted before it, in one step. Returns
    False if any of it has changed: `manage.py recount` adds to the counts and leaves the mark.
    """
    written = {vendor: each.as_json() for vendor, each in counts.items()}
    return _change(Span.HOUR, {"at": before.at, "counts": before.stored}, until, written)


def _change(span: Span, expected: dict[str, Any], until: datetime, counts: Any) -> bool:
    with writing():
        if expected["at"] == EPOCH:
            _, is_new = TallyMark.objects.get_or_create(
                pk=span, defaults={"at": until, "counts": counts}
            )
            return is_new
        mark = TallyMark.objects.filter(pk=span, **expected)
        return mark.update(at=until, counts=counts) > 0
