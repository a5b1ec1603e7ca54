"""Errors of calls and jobs by vendor and code, from the tallies, each with an example."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from jobs.advice import Advice, advice_on
from jobs.choice import Choice
from jobs.models import Status
from jobs.tallies import read
from jobs.tallies.counts import Counts, summed

MAX_GROUPS = 50
SEARCHED = 100  # jobs, for one that ended in this time
MAX_EXAMPLES = 10  # each takes two queries
STEPS = {1: timedelta(minutes=5), 24: timedelta(hours=1)}  # of the sparklines, by hours


@dataclass(frozen=True)
class Group:
    """The errors of one vendor with one code. `numbers`: of each step, for a sparkline."""

    vendor: str
    code: str
    jobs: int  # that failed
    calls: int  # that ended so, whatever became of their jobs
    since: datetime  # when the time begins that is counted
    numbers: list[int] = field(default_factory=list)
    first_seen: datetime | None = None  # to the step, without an example
    last_seen: datetime | None = None
    example: str = ""  # the id of the newest of the jobs
    may_retry: bool = True  # it is not known that none of the jobs is still failed

    @property
    def advice(self) -> Advice:
        return advice_on(self.code, has_failed=bool(self.jobs))

    @property
    def choice(self) -> Choice:
        """The jobs that failed in this time."""
        return replace(self.of_any_time, ended_after=self.since)

    @property
    def of_any_time(self) -> Choice:
        return Choice(status=Status.FAILED, vendor=self.vendor, error_code=self.code)

    @property
    def query(self) -> str:
        """These jobs, as the query of a URL."""
        return self.choice.as_query()


@dataclass(frozen=True)
class Errors:
    """All errors of a time. `hidden`: how many groups more there are."""

    groups: list[Group]
    hidden: int
    jobs: int
    calls: int
    all_calls: int

    @property
    def share(self) -> float | None:
        """The share of calls that ended in an error."""
        return self.calls / self.all_calls if self.all_calls else None


def errors(hours: int, now: datetime, vendor: str = "") -> Errors:
    """Return the errors of the last hours, of one vendor or of all, most first."""
    since, step = now - timedelta(hours=hours), STEPS[hours]
    if vendor:  # whose series is kept in memory
        began = read.floor(since + step, step)
        points = read.series(began, now, step, vendor)
        counted = {vendor: summed(point.counts for point in points)}
    else:
        began = read.floor(since, read.MINUTE)
        counted = read.by_vendor(began, now)
    total = summed(counted.values())
    found = [it for slug, counts in counted.items() for it in _groups(slug, counts, began)]
    found.sort(key=lambda group: (-group.jobs, -group.calls, group.vendor, group.code))
    shown = _with_numbers(found[:MAX_GROUPS], since + step, now, step)
    return Errors(
        groups=[*_with_examples(shown)],
        hidden=len(found[MAX_GROUPS:]),
        jobs=sum(total.job_codes.values()),
        calls=sum(total.call_codes.values()),
        all_calls=sum(total.calls.values()),
    )


def _groups(vendor: str, counts: Counts, since: datetime) -> Iterator[Group]:
    for code in {**counts.job_codes, **counts.call_codes}:
        jobs, calls = counts.job_codes[code], counts.call_codes[code]
        if jobs or calls:
            yield Group(vendor, code, jobs, calls, since)


def _with_numbers(
    groups: Sequence[Group], since: datetime, now: datetime, step: timedelta
) -> Iterator[Group]:
    """Yield the groups with what happened in each step."""
    slugs = {group.vendor for group in groups}
    of_vendors = {slug: read.series(since, now, step, slug) for slug in slugs}
    for group in groups:
        points = of_vendors[group.vendor]
        numbers = [_count(point.counts, group) for point in points]
        seen = [point.at for point, count in zip(points, numbers, strict=True) if count]
        first, last = (max(seen[0], since), seen[-1]) if seen else (None, None)
        yield replace(group, numbers=numbers, first_seen=first, last_seen=last)


def _count(counts: Counts, group: Group) -> int:
    codes: Counter[str] = counts.job_codes if group.jobs else counts.call_codes
    return codes[group.code]


def _with_examples(groups: Iterable[Group]) -> Iterator[Group]:
    for number, group in enumerate(groups):
        yield _with_example(group) if group.jobs and number < MAX_EXAMPLES else group


def _with_example(group: Group) -> Group:
    """Return the group with its newest job, and when that and the oldest of the time ended. Jobs
    are in the order of their acceptance.
    """
    since, columns = group.since, ("pk", "finished_at")
    newest = group.of_any_time.jobs().order_by("-id").values_list(*columns)[:SEARCHED]
    example, last = next((each for each in newest if each[1] and each[1] >= since), ("", None))
    accepted = replace(group.of_any_time, created_after=since).jobs()
    first = accepted.order_by("id").values_list("finished_at", flat=True).first()
    return replace(
        group,
        first_seen=first or group.first_seen,
        last_seen=last or group.last_seen,
        example=example,
        may_retry=bool(newest),
    )
