"""Errors of calls and jobs by vendor and code, from the tallies, each with an example."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.advice import Advice, advice_on
from jobs.api.pagination import first_id_at
from jobs.choice import Choice
from jobs.models import Job, Status
from jobs.tallies import read
from jobs.tallies.counts import Counts, summed
from jobs.tallies.read import Point

MAX_GROUPS = 50
STEPS = {1: timedelta(minutes=5), 24: timedelta(hours=1)}  # of the sparklines, by hours


@dataclass(frozen=True)
class Group:
    """The errors of one vendor with one code. `numbers`: of each step, for a sparkline."""

    vendor: str
    code: str
    jobs: int  # that failed
    calls: int  # that ended so, whatever became of their jobs
    numbers: list[int]
    first_seen: datetime | None = None
    last_seen: datetime | None = None
    example: Job | None = None  # the newest of the jobs

    @property
    def advice(self) -> Advice:
        return advice_on(self.code)

    @property
    def choice(self) -> str:
        """The failed jobs, as the query of a URL."""
        chosen = Choice(status=Status.FAILED, vendor=self.vendor, error_code=self.code)
        return chosen.as_query()


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
    if vendor:
        of_vendors = {vendor: read.series(since, now, step, vendor)}
    else:
        of_vendors = read.series_by_vendor(since, now, step)
    total = summed(point.counts for points in of_vendors.values() for point in points)
    found = [group for slug, points in of_vendors.items() for group in _groups(slug, points)]
    found.sort(key=lambda group: (-group.jobs, -group.calls, group.vendor, group.code))
    return Errors(
        groups=list(_with_examples(found[:MAX_GROUPS], since)),
        hidden=len(found[MAX_GROUPS:]),
        jobs=sum(total.job_codes.values()),
        calls=sum(total.call_codes.values()),
        all_calls=sum(total.calls.values()),
    )


def _groups(vendor: str, points: Sequence[Point]) -> Iterator[Group]:
    total = summed(point.counts for point in points)
    for code in {**total.job_codes, **total.call_codes}:
        jobs, calls = total.job_codes[code], total.call_codes[code]
        if not jobs and not calls:
            continue
        numbers = [_count(point.counts, code, of_jobs=bool(jobs)) for point in points]
        seen = [point.at for point, count in zip(points, numbers, strict=True) if count]
        first, last = (seen[0], seen[-1]) if seen else (None, None)
        yield Group(vendor, code, jobs, calls, numbers, first, last)


def _count(counts: Counts, code: str, *, of_jobs: bool) -> int:
    codes: Counter[str] = counts.job_codes if of_jobs else counts.call_codes
    return codes[code]


def _with_examples(groups: Iterable[Group], since: datetime) -> Iterator[Group]:
    """Yield the groups, each with its newest job and exact times, if it has failed jobs."""
    for group in groups:
        yield _with_example(group, since) if group.jobs else group


def _with_example(group: Group, since: datetime) -> Group:
    # The index job_error has them in order of their ids, which is that of acceptance.
    jobs = Job.objects.filter(error_code__gt="", error_code=group.code, vendor=group.vendor)
    jobs = jobs.filter(status=Status.FAILED).only("pk", "error_message", "finished_at")
    newest = jobs.order_by("-id").first()
    oldest = jobs.filter(id__gte=first_id_at(since)).order_by("id").first()
    return Group(
        group.vendor,
        group.code,
        group.jobs,
        group.calls,
        group.numbers,
        first_seen=(oldest and oldest.finished_at) or group.first_seen,
        last_seen=(newest and newest.finished_at) or group.last_seen,
        example=newest,
    )
