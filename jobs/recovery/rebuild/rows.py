"""The calls that the rows know of, as limits count them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import NamedTuple

from django.db.models import QuerySet, Sum

from jobs.models import EPOCH, IN_FLIGHT, UNKNOWN, Attempt, Job, Kind, Status
from jobs.queue import limiter
from jobs.queue.restore import ROUNDED_US, Start
from vendors.limits import Range
from vendors.models import Vendor

# For how long after its row was written a call may be permitted, besides its vendor's timeout.
MAX_LATE_SECONDS = 30.0
# For how long after a vendor has left a limit its calls may still have been charged to it.
MAX_UNAWARE = timedelta(seconds=60)
JOB_COLUMNS = ("vendor", "credential", "status", "started_at")


@dataclass(frozen=True)
class Selection:
    """Which calls one bucket counts: all of the vendors `slugs`, and those of others that were
    charged to `limit`. With `key`, only those made with this key, or with an unknown one.
    """

    slugs: frozenset[str]
    limit: str = ""
    key: str = ""

    def has(self, call: "Call") -> bool:
        if self.key and call.credential not in ("", self.key):
            return False
        return call.vendor in self.slugs or bool(self.limit) and f",{self.limit}," in call.limits

    def attempts(self) -> Iterator[QuerySet[Attempt]]:
        """Yield the rows that it counts, in parts that an index serves."""
        rows = Attempt.objects.filter(units__gt=0)
        if self.key:
            rows = rows.filter(credential__in=("", self.key))
        for slug in sorted(self.slugs):
            yield rows.filter(vendor=slug)
        if self.limit:
            charged = rows.filter(limits__gt="", limits__contains=f",{self.limit},")
            yield charged.exclude(vendor__in=self.slugs)


class Call(NamedTuple):
    """A call of a vendor, with the columns of an attempt. `id`: of a call in progress, its job."""

    id: str
    vendor: str
    credential: str
    limits: str
    units: int
    started_at: datetime
    kind: str = Kind.CALL
    job: str = ""
    number: int = 0
    outcome: str = UNKNOWN

    @property
    def started_us(self) -> int:
        return limiter.microseconds(self.started_at)


@dataclass
class Rows:
    """What the rows say of the calls of `vendors`, read at several moments of a rebuild. `limits`:
    those that are rebuilt.
    """

    vendors: Mapping[str, Vendor]
    limits: Collection[str] = ()
    _of_jobs: dict[tuple[str, int], Call] = field(default_factory=dict)  # by job and attempt
    _of_attempts: dict[str, Call] = field(default_factory=dict)  # by the attempt's id

    def read_calling(self) -> None:
        """Note the jobs that are being called.

        To be called twice: a call can end before its attempt is in the rows, on MongoDB or when a
        callback overtakes it.
        """
        rows = Job.objects.filter(status=Status.PROCESSING, vendor__in=list(self.vendors))
        columns = ("pk", "attempt", "vendor", "credential", "started_at")
        for job_id, number, slug, credential, at in rows.values_list(*columns):
            at = at or EPOCH
            limits, units = self._may_count_in(slug, at), self.vendors[slug].weight
            call = Call(job_id, slug, credential, limits, units, at)
            self._of_jobs[job_id, number] = call

    def read_unfinished(self, selection: Selection, since: datetime, until: datetime) -> None:
        """Note the attempts of this bucket that have a row but no end, polls and calls by hand, if
        they may have been permitted between these times.

        Those of dead workers count as well: their permits may have been renewed until their workers
        died.
        """
        timeouts = [self._timeout(slug) for slug in self.vendors]
        late = timedelta(seconds=max(timeouts, default=0.0) + MAX_LATE_SECONDS)
        for part in selection.attempts():
            unfinished = part.filter(outcome=UNKNOWN, started_at__gte=since - late)
            unfinished = unfinished.filter(started_at__lte=until)
            self._of_attempts |= {call.id: call for call in _calls(unfinished)}

    @cached_property
    def _ended(self) -> list[Call]:
        """The attempts of the jobs that were being called, and of the calls without an end, that
        have ended meanwhile. Read after those, and before all others, so that each counts once.
        """
        of_jobs = Attempt.objects.filter(job__in=self._jobs)
        of_attempts = Attempt.objects.filter(pk__in=list(self._of_attempts))
        calls = {call.id: call for rows in (of_jobs, of_attempts) for call in _calls(rows)}
        return [call for call in calls.values() if call.outcome != UNKNOWN]

    @cached_property
    def _jobs(self) -> list[str]:
        return list({job_id for job_id, _ in self._of_jobs})

    @cached_property
    def _calling(self) -> list[Call]:
        """The calls that have not ended, as far as it is known."""
        ended = {call.id for call in self._ended}
        answered = {(call.job, call.number) for call in self._ended if call.kind == Kind.CALL}
        of_jobs = [call for key, call in self._of_jobs.items() if key not in answered]
        return of_jobs + [call for pk, call in self._of_attempts.items() if pk not in ended]

    def starts(
        self, selection: Selection, since: datetime, max_units: int, now_us: int
    ) -> list[Start]:
        """Return the starts that a log must hold, the latest first."""
        calling = [call for call in self._calling if selection.has(call)]
        starts = [self._start_of(call, now_us) for call in calling]
        known = [call for call in self._ended if selection.has(call) and call.started_at >= since]
        jobs = set(self._jobs)
        for part in selection.attempts() if max_units else ():
            rows = part.filter(started_at__gte=since).order_by("-started_at")
            known += [
                call
                for call in _calls(rows[:max_units])
                if call.outcome != UNKNOWN and call.job not in jobs
                if call.id not in self._of_attempts
            ]
        starts += [
            Start(call.started_us, call.started_us + ROUNDED_US, call.units) for call in known
        ]
        return sorted(starts, key=lambda start: start.latest_us, reverse=True)

    def _start_of(self, call: Call, now_us: int) -> Start:
        """A call in progress counts as late as its permit may have been renewed."""
        latest_us = now_us
        if call.id in self._of_attempts:  # perhaps of a worker that died long ago
            late_seconds = self._timeout(call.vendor) + MAX_LATE_SECONDS
            latest_us = min(now_us, call.started_us + round(late_seconds * 1_000_000))
        return Start(call.started_us, latest_us, call.units)

    def spent(self, selection: Selection, range_: Range, now_us: int) -> tuple[int, bool]:
        """Return how many units count in a range that contains `now_us`, and whether the calls of
        some of them are in progress, so that it is not known exactly.
        """
        ended = [call for call in self._ended if selection.has(call)]
        inside = [call for call in ended if range_.begin <= call.started_at < range_.end]
        begin_us = limiter.microseconds(range_.begin)
        calling = [call for call in self._calling if selection.has(call)]
        starts = [self._start_of(call, now_us) for call in calling]
        late = [start for start in starts if start.latest_us >= begin_us]
        units = sum(call.units for call in inside) + sum(start.units for start in late)
        for part in selection.attempts():
            rows = part.filter(started_at__gte=range_.begin, started_at__lt=range_.end)
            rows = rows.exclude(pk__in=list(self._of_attempts)).exclude(job__in=self._jobs)
            units += rows.aggregate(units=Sum("units"))["units"] or 0
        return units, any(start.latest_us == now_us for start in late)

    def in_flight(self, selection: Selection) -> list[str]:
        """Return the jobs that occupy a slot of this bucket."""
        rows = Job.objects.filter(status__in=IN_FLIGHT, vendor__in=list(selection.slugs))
        if selection.key:
            rows = rows.filter(credential__in=("", selection.key))
        moved = [call.id for call in self._moved if selection.has(call)] if selection.limit else []
        return list(dict.fromkeys([*rows.values_list("pk", flat=True), *moved]))

    @cached_property
    def _moved(self) -> list[Call]:
        """The jobs in flight that were perhaps called before their vendor's limits changed, with
        the limits that they were charged to.
        """
        found: list[Call] = []
        for vendor in self.vendors.values() if self.limits else ():
            if changed_at := vendor.limits_changed_at:
                before = changed_at + MAX_UNAWARE
                rows = Job.objects.filter(vendor=vendor.slug, status__in=IN_FLIGHT)
                jobs = list(rows.filter(started_at__lt=before).only(*JOB_COLUMNS))
                found += self._charged(jobs)
        return found

    def _charged(self, jobs: Sequence[Job]) -> Iterator[Call]:
        attempts = Attempt.objects.filter(job__in=[job.pk for job in jobs], kind=Kind.CALL)
        charged_to = dict(attempts.order_by("number").values_list("job", "limits"))
        for job in jobs:
            at = job.started_at or EPOCH
            limits = charged_to.get(job.pk, "")
            if job.status == Status.PROCESSING:
                limits = self._may_count_in(job.vendor, at)
            yield Call(job.pk, job.vendor, job.credential, limits, 1, at)

    def _may_count_in(self, slug: str, at: datetime) -> str:
        """Return the limits to which a call was perhaps charged before its vendor left them."""
        return f",{','.join(self.limits)}," if has_moved(self.vendors[slug], at) else ""

    def _timeout(self, slug: str) -> float:
        vendor = self.vendors.get(slug)
        return vendor.timeout_seconds if vendor else 0.0


def has_moved(vendor: Vendor, at: datetime) -> bool:
    """Whether a call that started then was perhaps charged to limits that the vendor has left."""
    changed_at = vendor.limits_changed_at
    return changed_at is not None and at < changed_at + MAX_UNAWARE


def _calls(attempts: QuerySet[Attempt]) -> list[Call]:
    columns = ("pk", *Call._fields[1:])
    return [Call(*row) for row in attempts.values_list(*columns)]
