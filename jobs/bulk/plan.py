"""What a bulk action would do, before anything is done: counted within bounds."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic

from django.utils import timezone

from jobs.bulk.kinds import OUTCOME_UNKNOWN, Kind, Rows
from jobs.choice import Choice
from jobs.models import Job, Status
from vendors.catalogue import catalogue

MAX_COUNTED = 10_000
MAX_SECONDS = 0.3  # after which counting stops, and the action goes on with it
PIECE = 2000  # jobs that are searched at once
MAX_SHOWN = 10
Row = tuple[str, str, str]  # id, vendor, error code


@dataclass(frozen=True)
class Plan:
    """The jobs that an action started at `at` would move, as far as they are counted."""

    kind: Kind
    choice: Choice
    at: datetime
    count: int = 0
    is_bound: bool = False  # there are more than `count`
    by_code: Counter[str] = field(default_factory=Counter)  # '' for those without an error
    by_vendor: Counter[str] = field(default_factory=Counter)  # all vendors that have any
    first: list[Job] = field(default_factory=list)  # of the counted
    newest: str = ""  # its id; '' if it is not known
    unknown: int = 0  # of the counted: retried only if that is wanted expressly
    # What is left out, by reason: of deleted vendors, or being called.
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def oldest(self) -> str:
        return self.first[0].pk if self.first else ""


def make(kind: Kind, choice: Choice, at: datetime) -> Plan:
    """Return the plan. A choice by relative times is taken as of now."""
    choice = choice.fixed()
    if kind.name == "cancel":  # not what is posted later. Ids tell the time of the machine's clock.
        now = timezone.now()
        choice = replace(choice, created_before=min(choice.created_before or now, now))
    counts, by_vendor, left_out = _Counts(), Counter[str](), Counter[str]()
    rows = kind.rows(choice, at)
    give_up_at = monotonic() + MAX_SECONDS
    is_all = counts.read(_read(rows, give_up_at))
    for vendor, count in counts.by_vendor.items():
        if kind.needs_vendor and catalogue.get(vendor) is None:
            left_out["no_vendor"] += count
        else:
            by_vendor[vendor] = count
    if not is_all:
        for slug in _others(kind, choice, at, give_up_at, set(by_vendor)):
            by_vendor[slug] = 0  # it has some, none of which were counted
    if kind.name == "cancel" and not choice.status:
        called = replace(choice, status=Status.PROCESSING.value).jobs()
        left_out["processing"] = called[:MAX_COUNTED].count()
    return Plan(
        kind,
        choice,
        at,
        count=by_vendor.total(),
        is_bound=not is_all,
        by_code=counts.by_code,
        by_vendor=by_vendor,
        first=_first(counts.first),
        newest=max((each.newest(PIECE) for each in rows), default=""),
        unknown=counts.by_code[OUTCOME_UNKNOWN] if kind.name == "retry" else 0,
        left_out=+left_out,
    )


class _Counts:
    def __init__(self) -> None:
        self.by_code: Counter[str] = Counter()
        self.by_vendor: Counter[str] = Counter()
        self.first: list[str] = []

    def read(self, pieces: Iterator[list[Row] | None]) -> bool:
        """Count the rows. Returns False if they were cut off."""
        for piece in pieces:
            if piece is None:
                return False
            self.by_vendor.update(vendor for _, vendor, _ in piece)
            self.by_code.update(code for _, _, code in piece)
            self.first = sorted([*self.first, *(pk for pk, _, _ in piece)])[:MAX_SHOWN]
        return True


def _first(ids: list[str]) -> list[Job]:
    jobs = Job.objects.filter(pk__in=ids).defer("input", "result", "metadata")
    return sorted(jobs, key=lambda job: job.pk)


def _read(of: list[Rows], give_up_at: float) -> Iterator[list[Row] | None]:
    """Yield the rows in pieces; None at last if there are more than may be counted."""
    room = MAX_COUNTED
    for rows in of:
        last, is_last = "", False
        while not is_last:
            if room <= 0 or monotonic() > give_up_at:
                yield None
                return
            end = rows.end(last, min(PIECE, room))
            found = rows.within(last, end)
            piece = list(found.values_list("pk", "vendor", "error_code")[:room])
            room -= len(piece)
            last, is_last = end, not end
            yield piece


def _others(
    kind: Kind, choice: Choice, at: datetime, give_up_at: float, known: set[str]
) -> Iterator[str]:
    """Yield the vendors besides those known that have jobs, or may have them when time is up."""
    named = {choice.vendor} if choice.vendor else catalogue.all().keys()
    for slug in sorted(named - known):
        any_of = Choice(vendor=slug, status=choice.status, error_code=choice.error_code)
        if not any(rows.leading.exists() for rows in kind.rows(any_of, at)):
            continue
        rows = kind.rows(replace(choice, vendor=slug), at)
        if monotonic() > give_up_at + MAX_SECONDS or any(_may_have(each) for each in rows):
            yield slug


def _may_have(rows: Rows) -> bool:
    """Return whether there are any, or too many that an index finds to tell."""
    end = rows.end("", PIECE)
    return bool(end) or rows.within("", end).exists()
