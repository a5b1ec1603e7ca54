"""Counts again from the rows of jobs and attempts, for what a process that was killed had not
written yet: at most its last second, or what it had counted while the store was away.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from jobs.models import EPOCH, FINAL, Attempt, Job, Span
from jobs.storage.store import writing
from jobs.tallies import fold, marks
from jobs.tallies.adding import UNSEEN, add_call, add_end, time_of
from jobs.tallies.counts import COUNTERS, HISTOGRAMS, NUMBERS, Counts, Histogram, summed
from jobs.tallies.marks import ALL
from jobs.tallies.recent import rows

MINUTE = timedelta(minutes=1)
COST_UNITS = 10**6
MAX_LAG = 15  # minutes from the end of a call to its commit, while the store was away
MAX_CALL = timedelta(hours=1)
MAX_LIFE = timedelta(days=2)  # of the jobs that are looked at
JOB = ("id", "status", "finished_at", "error_code", "run")
ATTEMPT = ("job", "kind", "number", "outcome", "units", "cost", "started_at", "ended_at")

Key = tuple[str, str | int]  # where in Counts a number is
Numbers = Counter[Key]


def recount(vendor: str, since: datetime, until: datetime) -> int:
    """Add what is missing in a time of whole hours that are folded, and whose minutes are kept.
    Returns how many jobs and calls that is. To run it again changes nothing.
    """
    counted = {
        at: _flat(counts) for _, at, counts in rows(Span.MINUTE, since, until, vendor=vendor)
    }
    found = {at: _flat(counts) for at, counts in _from_rows(vendor, since, until).items()}
    missing = {at: _counts(numbers) for at, numbers in _missing(found, counted).items()}
    with writing():
        for at, counts in missing.items():
            _add(vendor, at, counts)
    return sum(
        counts.accepted + counts.done + counts.failed + counts.cancelled + counts.calls.total()
        for counts in missing.values()
    )


def _add(vendor: str, at: datetime, more: Counts) -> None:
    """Add to the rows of all spans that a minute is folded into."""
    found = marks.read()
    for span in (Span.MINUTE, Span.HOUR, Span.DAY):
        begin = fold.floor(at, span)
        if begin < found.of(span):
            for slug in (vendor, ALL):
                counts = summed(each for *_, each in rows(span, begin, begin + MINUTE, vendor=slug))
                counts.merge(more)
                fold.write(span, {(slug, begin): counts})
    while True:  # the leader of the sweep may fold an hour at the same time
        mark, before = marks.counted_before()
        before.setdefault(vendor, Counts()).merge(more)
        if marks.move(Span.HOUR, mark, mark, before):
            return


def _from_rows(vendor: str, since: datetime, until: datetime) -> dict[datetime, Counts]:
    found: dict[datetime, Counts] = defaultdict(Counts)
    for attempt in _attempts(vendor, since, until):
        if since <= attempt.ended_at < until:
            counts = found[fold.floor(attempt.ended_at, Span.MINUTE)]
            add_call(counts, attempt, time_of(attempt.job))
    for job in _jobs(vendor, since, until):
        accepted_at = EPOCH + timedelta(seconds=time_of(job.pk))
        if since <= accepted_at < until:
            found[fold.floor(accepted_at, Span.MINUTE)].accepted += 1
        if job.status in FINAL and job.finished_at and since <= job.finished_at < until:
            counts = found[fold.floor(job.finished_at, Span.MINUTE)]
            seconds = (job.finished_at - accepted_at).total_seconds() if job.run == 1 else None
            add_end(counts, job.status, job.error_code, seconds)
    return found


def _attempts(vendor: str, since: datetime, until: datetime) -> Iterable[Attempt]:
    in_time = {"started_at__gte": since - MAX_CALL, "started_at__lt": until}
    attempts = Attempt.objects.filter(vendor=vendor, job__gt="", **in_time)
    return attempts.exclude(outcome__in=UNSEEN).only(*ATTEMPT).iterator(1000)


def _jobs(vendor: str, since: datetime, until: datetime) -> Iterable[Job]:
    ids = {"pk__gte": _id_at(since - MAX_LIFE), "pk__lt": _id_at(until)}
    return Job.objects.filter(vendor=vendor, **ids).only(*JOB).iterator(1000)


def _id_at(at: datetime) -> str:
    return str(UUID(int=((at - EPOCH) // timedelta(milliseconds=1)) << 80))


def _missing(
    found: Mapping[datetime, Numbers], counted: Mapping[datetime, Numbers]
) -> dict[datetime, Numbers]:
    """Return what is found and was not counted, by minute. What was counted later than it is found
    is not missing: the commit came later.
    """
    missing = {at: Counter(numbers) for at, numbers in found.items()}
    surplus = {at: Counter(numbers) for at, numbers in counted.items()}
    for lag in range(MAX_LAG + 1):
        for at in missing.keys() & {at - lag * MINUTE for at in surplus}:
            both = missing[at] & surplus[at + lag * MINUTE]
            missing[at] -= both
            surplus[at + lag * MINUTE] -= both
    return {at: numbers for at, numbers in sorted(missing.items()) if numbers}


def _flat(counts: Counts) -> Numbers:
    """Return all numbers, as whole ones. Total durations are estimated from their buckets."""
    found: Numbers = Counter()
    for name in NUMBERS:
        number = getattr(counts, name)
        found[name, ""] = round(number * COST_UNITS) if name == "cost" else number
    for name in COUNTERS:
        for key, count in getattr(counts, name).items():
            found[name, key] = count
    for name in HISTOGRAMS:
        for number, count in getattr(counts, name).buckets.items():
            found[name, number] = count
    return found


def _counts(numbers: Numbers) -> Counts:
    counts = Counts()
    for (name, key), number in numbers.items():
        if name in NUMBERS:
            setattr(counts, name, number / COST_UNITS if name == "cost" else number)
        elif name in COUNTERS:
            getattr(counts, name)[key] = number
        elif isinstance(key, int):
            getattr(counts, name).merge(Histogram.of(key, number))
    return counts
