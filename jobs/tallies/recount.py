"""Counts again from the rows of jobs and attempts, for what a process that was killed had not
written yet: at most its last second, or what it had counted while the store was away.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from itertools import islice
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

PARTS = {Span.HOUR: Span.MINUTE, Span.DAY: Span.HOUR}

Key = tuple[str, str]  # where in Counts a number is
Numbers = Counter[Key]


def recount(vendor: str, since: datetime, until: datetime) -> int:
    """Add what is missing in a time of whole hours that are folded, and whose minutes are kept.
    Returns how many jobs and calls that is. To run it again changes nothing, and completes what
    was interrupted.
    """
    counted = {at: counts for _, at, counts in rows(Span.MINUTE, since, until, vendor=vendor)}
    found = _from_rows(vendor, since, until)
    missing = {
        at: _counts(numbers, found[at], counted.get(at, Counts()))
        for at, numbers in _missing(_all_flat(found), _all_flat(counted)).items()
    }
    with writing():
        for at, counts in missing.items():
            for slug in (vendor, ALL):
                minute = summed(
                    each for *_, each in rows(Span.MINUTE, at, at + MINUTE, vendor=slug)
                )
                minute.merge(counts)
                fold.write(Span.MINUTE, {(slug, at): minute})
        for hour in _begins(Span.HOUR, since, until):
            _add_to_totals(vendor, _refolded(vendor, Span.HOUR, hour))
        for day in _begins(Span.DAY, since, min(until, marks.read().day)):
            _refolded(vendor, Span.DAY, day)
    return sum(
        counts.accepted + counts.done + counts.failed + counts.cancelled + counts.calls.total()
        for counts in missing.values()
    )


def _begins(span: Span, since: datetime, until: datetime) -> Iterable[datetime]:
    at = fold.floor(since, span)
    while at < until:
        yield at
        at += fold.STEPS[span]


def _refolded(vendor: str, span: Span, at: datetime) -> Counts:
    """Fold an hour or day again if it lacks what its parts have. Returns what the vendor lacked."""
    part, until = PARTS[span], at + fold.STEPS[span]
    lacked = Counts()
    for slug in (ALL, vendor):
        whole = summed(each for *_, each in rows(part, at, until, vendor=slug))
        folded = summed(each for *_, each in rows(span, at, at + MINUTE, vendor=slug))
        lacked = _counts(_flat(whole) - _flat(folded), whole, folded)
        if lacked != Counts():
            fold.write(span, {(slug, at): whole})
    return lacked


def _add_to_totals(vendor: str, more: Counts) -> None:
    while more != Counts():  # the leader of the sweep may fold an hour at the same time
        before = marks.counted_before()
        counts = before.by_vendor()
        counts.setdefault(vendor, Counts()).merge(more)
        if marks.move_hour(before, before.at, counts):
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
    is not missing: the commit came later. Nor is what was counted a minute before: ids and rows
    have the time of the machine, and what is counted has that of Redis.
    """
    missing = {at: Counter(numbers) for at, numbers in found.items()}
    surplus = {at: Counter(numbers) for at, numbers in counted.items()}
    for lag in (0, -1, *range(1, MAX_LAG + 1)):
        for at in missing.keys() & {at - lag * MINUTE for at in surplus}:
            both = missing[at] & surplus[at + lag * MINUTE]
            missing[at] -= both
            surplus[at + lag * MINUTE] -= both
    return {at: numbers for at, numbers in sorted(missing.items()) if numbers}


def _all_flat(found: Mapping[datetime, Counts]) -> dict[datetime, Numbers]:
    return {at: _flat(counts) for at, counts in found.items()}


def _flat(counts: Counts) -> Numbers:
    """Return all numbers, as whole ones. Of durations only how many: the rows have them less
    precisely than they were counted, so that some are found in the next bucket.
    """
    found: Numbers = Counter()
    for name in NUMBERS:
        number = getattr(counts, name)
        found[name, ""] = round(number * COST_UNITS) if name == "cost" else number
    for name in COUNTERS:
        for key, count in getattr(counts, name).items():
            found[name, key] = count
    for name in HISTOGRAMS:
        found[name, ""] = getattr(counts, name).count
    return found


def _counts(numbers: Numbers, found: Counts, counted: Counts) -> Counts:
    """Return the numbers that are missing as counts, with as many durations of those found."""
    counts = Counts()
    for (name, key), number in numbers.items():
        if name in NUMBERS:
            setattr(counts, name, number / COST_UNITS if name == "cost" else number)
        elif name in COUNTERS:
            getattr(counts, name)[key] = number
        else:
            setattr(counts, name, _some_of(getattr(found, name), getattr(counted, name), number))
    return counts


def _some_of(found: Histogram, counted: Histogram, number: int) -> Histogram:
    """Return so many of the durations found, first those of buckets that were not counted. Their
    total is estimated.
    """
    several, some = Counter(found.buckets), Histogram()
    likely = several - Counter(counted.buckets)
    for bucket in islice((*likely.elements(), *(several - likely).elements()), number):
        some.merge(Histogram.of(bucket, 1))
    return some
