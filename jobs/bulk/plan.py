"""What a bulk action would do, before anything is done: counted within bounds."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic

from django.utils import timezone

from jobs.bulk.kinds import OUTCOME_UNKNOWN, Kind, in_order
from jobs.choice import Choice
from jobs.models import Job, Status
from vendors.catalogue import catalogue

MAX_COUNTED = 10_000
MAX_SECONDS = 0.3  # after which counting stops, and the action goes on with it
PIECE = 1000
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
    first: list[Job] = field(default_factory=list)
    newest: str = ""  # its id
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
    rows = kind.jobs(choice, at)
    give_up_at = monotonic() + MAX_SECONDS
    is_all = counts.read(_read(kind, choice, at, give_up_at))
    for vendor, count in counts.by_vendor.items():
        if kind.needs_vendor and catalogue.get(vendor) is None:
            left_out["no_vendor"] += count
        else:
            by_vendor[vendor] = count
    if not is_all and not choice.vendor:
        for slug in _others(kind, choice, at, give_up_at, set(by_vendor)):
            by_vendor[slug] = 0  # it has some, none of which were counted
    if kind.name == "cancel" and not choice.status:
        called = replace(choice, status=Status.PROCESSING.value).jobs()
        left_out["processing"] = called[:MAX_COUNTED].count()
    newest = [each.order_by("-pk").values_list("pk", flat=True).first() or "" for each in rows]
    return Plan(
        kind,
        choice,
        at,
        count=by_vendor.total(),
        is_bound=not is_all,
        by_code=counts.by_code,
        by_vendor=by_vendor,
        first=in_order(rows, "", MAX_SHOWN),
        newest=max(newest, default=""),
        unknown=counts.by_code[OUTCOME_UNKNOWN] if kind.name == "retry" else 0,
        left_out=+left_out,
    )


class _Counts:
    def __init__(self) -> None:
        self.by_code: Counter[str] = Counter()
        self.by_vendor: Counter[str] = Counter()

    def read(self, pieces: Iterator[list[Row] | None]) -> bool:
        """Count the rows. Returns False if they were cut off."""
        for piece in pieces:
            if piece is None:
                return False
            self.by_vendor.update(vendor for _, vendor, _ in piece)
            self.by_code.update(code for _, _, code in piece)
        return True


def _read(
    kind: Kind, choice: Choice, at: datetime, give_up_at: float
) -> Iterator[list[Row] | None]:
    """Yield the rows in pieces; None at last if there are more than may be counted."""
    room = MAX_COUNTED
    for jobs in kind.jobs(choice, at):
        last, is_full = "", True
        while is_full:
            if room <= 0 or monotonic() > give_up_at:
                yield None
                return
            rows = jobs.filter(pk__gt=last).order_by("pk")
            piece = list(rows.values_list("pk", "vendor", "error_code")[: min(PIECE, room)])
            is_full = len(piece) == min(PIECE, room)
            room -= len(piece)
            last = piece[-1][0] if piece else last
            yield piece


def _others(
    kind: Kind, choice: Choice, at: datetime, give_up_at: float, known: set[str]
) -> Iterator[str]:
    """Yield the vendors besides those known that have jobs, or may have them when time is up."""
    for slug in sorted(catalogue.all().keys() - known):
        rows = kind.jobs(replace(choice, vendor=slug), at)
        if monotonic() > give_up_at + MAX_SECONDS or any(each.exists() for each in rows):
            yield slug
