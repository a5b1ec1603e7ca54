"""The charts of an hour, a day or a week, of one vendor or of all."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import NamedTuple

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from audit.models import Entry
from jobs.admin.charts import ChartMark, Frame, Series, lines, marks_list, stacked
from jobs.admin.page.reader import zone
from jobs.api.pagination import first_id_at
from jobs.monitoring.versions import TARGET
from jobs.storage.store import STORE_ERRORS, patience
from jobs.tallies.counts import OUTCOMES, Counts, Histogram
from jobs.tallies.read import MINUTE, series

READ_SECONDS = 1.0  # after that, the charts show what was read by then
FEW_SAMPLES = 20
MAX_MARKS = 12
MARKED = (
    "service.version",
    "vendor.paused",
    "vendor.resumed",
    "vendor.limits_changed",
    "vendor.breaker_closed",
)


class Range(NamedTuple):
    name: str
    words: str
    steps: int
    step: timedelta
    per: str


RANGES = (
    Range("hour", "Hour", 60, MINUTE, "minute"),
    Range("day", "Day", 288, timedelta(minutes=5), "5 minutes"),
    Range("week", "Week", 168, timedelta(hours=1), "hour"),
)


@dataclass(frozen=True)
class Tab:
    words: str
    query: str
    is_current: bool


@dataclass(frozen=True)
class Panel:
    """What the template console/history.html shows."""

    tabs: list[Tab]
    charts: list[SafeString]
    marks: SafeString
    is_known: bool  # False: the store does not answer in time
    is_whole: bool = True  # False: the older steps are still being read


def panel(request: HttpRequest, vendor: str | None = None) -> Panel:
    """Return the charts of the range that the URL names."""
    chosen = next((each for each in RANGES if each.name == request.GET.get("range")), RANGES[0])
    tabs = [Tab(each.words, f"?range={each.name}", each is chosen) for each in RANGES]
    now = timezone.now()
    try:
        with patience(READ_SECONDS):
            points = series(now - (chosen.steps - 1) * chosen.step, now, chosen.step, vendor)
        with patience(READ_SECONDS):
            marks = _marks(chosen, vendor, now)
    except STORE_ERRORS:
        return Panel(tabs, [], SafeString(""), is_known=False)
    frame = Frame([point.at for point in points], chosen.step, zone(request.COOKIES), now, marks)
    charts = _charts(frame, [point.counts for point in points], chosen)
    is_whole = len(points) >= chosen.steps
    return Panel(tabs, charts, marks_list(frame), is_known=True, is_whole=is_whole)


def _marks(chosen: Range, vendor: str | None, now: datetime) -> tuple[ChartMark, ...]:
    since = now - chosen.steps * chosen.step
    entries = Entry.objects.filter(action__in=MARKED, id__gte=first_id_at(since)).order_by("-id")
    found = list(entries[:MAX_MARKS]) if vendor is None else _of_vendor(entries, vendor)
    return tuple(ChartMark(entry.at, _mark_words(entry)) for entry in found)


def _of_vendor(entries: QuerySet[Entry], vendor: str) -> list[Entry]:
    """Return the newest of a vendor and of the service. An index is of targets: one at a time."""
    of = [entries.filter(target=target)[:MAX_MARKS] for target in (f"vendor:{vendor}", TARGET)]
    return sorted(chain(*of), key=lambda entry: entry.pk, reverse=True)[:MAX_MARKS]


def _mark_words(entry: Entry) -> str:
    name = entry.target.partition(":")[2]
    by = f" by {entry.actor}" if entry.actor else ""
    if entry.action == "service.version":
        version = (entry.changes.get("version") or ["", ""])[1]
        return f"version {version}"
    words = {
        "vendor.paused": "paused",
        "vendor.resumed": "resumed",
        "vendor.limits_changed": "limits changed",
        "vendor.breaker_closed": "breaker closed",
    }[entry.action]
    return f"{name} {words}{by}"


def _charts(frame: Frame, counts: list[Counts], chosen: Range) -> list[SafeString]:
    calls = [
        Series(
            name.replace("_", " "), [each.calls[name] + each.polls[name] for each in counts], name
        )
        for name in OUTCOMES
    ]
    quantiles = [
        _quantile(f"{of} {name}", counts, kind, of, q)
        for of in ("call", "job")
        for name, q, kind in (("p50", 0.5, of), ("p95", 0.95, f"{of}-high"))
    ]
    waiting = Series("waiting", [each.waiting for each in counts], "waiting", merge=max)
    oldest = Series("oldest", [each.oldest_seconds for each in counts], "oldest", merge=max)
    return [
        stacked(f"Calls per {chosen.per}", frame, calls),
        lines("Call and whole job", frame, quantiles, is_log=True),
        stacked("Waiting jobs", frame, [waiting], note="at most"),
        lines("Oldest waiting job", frame, [oldest]),
    ]


def _quantile(name: str, counts: list[Counts], kind: str, of: str, q: float) -> Series:
    found: list[Histogram] = [getattr(each, of) for each in counts]
    few = [0 < each.count < FEW_SAMPLES for each in found]
    return Series(name, [each.quantile(q) for each in found], kind, few, max)
