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


def counted_before() -> tuple[datetime, dict[str, Counts]]:
    """Return the mark of the hours, and everything that was counted before it, by vendor."""
    mark = TallyMark.objects.filter(pk=Span.HOUR).first()
    if mark is None:
        return EPOCH, {}
    counts: Any = mark.counts or {}
    return mark.at, {vendor: Counts.from_json(each) for vendor, each in counts.items()}


def move(
    span: Span, since: datetime, until: datetime, counts: Mapping[str, Counts] | None = None
) -> bool:
    """Move a mark, with what was counted before it, in one step. Returns False if it is not where
    it was.
    """
    written: Any = {vendor: each.as_json() for vendor, each in (counts or {}).items()}
    with writing():
        if since == EPOCH:
            _, is_new = TallyMark.objects.get_or_create(
                pk=span, defaults={"at": until, "counts": written}
            )
            return is_new
        mark = TallyMark.objects.filter(pk=span, at=since)
        return mark.update(at=until, counts=written) > 0
