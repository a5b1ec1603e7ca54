"""Turns time into work: due retries, overdue callbacks, jobs of dead workers, entries that Redis
lost, stored callbacks without a verdict. One worker sweeps at a time; every step is bounded, and
cheap when there is nothing to do.
"""

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Event, Thread

import redis
from django.db import close_old_connections

from jobs import failures, lifecycle
from jobs.callbacks import inbox, refusals
from jobs.callbacks.rereading import Rereading
from jobs.models import IN_FLIGHT, Job, Status, Stream
from jobs.queue import counters, stream
from jobs.queue.clock import redis_clock
from jobs.queue.keys import SWEEPER
from jobs.queue.redis import commands, script
from jobs.queue.redis_errors import is_wrong_type
from jobs.recovery import in_flight, lost_entries, takeover, unusable
from jobs.recovery.presence import vendors_with
from vendors.catalogue import catalogue

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
LEAD_SECONDS = 5.0
LOST_SECONDS = 5.0  # between two looks for lost entries
FLIGHT_SECONDS = 30.0  # between two looks at the in-flight sets
CALLBACK_GRACE = timedelta(seconds=10)
BATCH = 500
OUTAGE_RETRY_SECONDS = 1.0
RECORD_SECONDS = 15.0  # longer than a recorder's longest pause


class Sweeper(Thread):
    """Sweeps while it leads. Every worker process has one; a lock that expires says which of them
    leads.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name="sweep", daemon=True)
        self._name = name
        self._ended = Event()
        self._suspects = takeover.Suspects()
        self._rereading = Rereading()
        self._unusable = unusable.Pauses()
        self._next: dict[Callable[[], int], float] = {}
        self._failing: set[Callable[[], int]] = set()

    def run(self) -> None:
        while not self._ended.is_set():
            full = False
            try:
                full = self._leads() and self.sweep(time.monotonic())
            except redis.RedisError as error:
                log.debug("a sweep broke off: %s", type(error).__name__)
                self._suspects.clear()
            if not full:
                self._ended.wait(TICK_SECONDS)

    def end(self) -> None:
        """Sweep no more; another worker leads at once."""
        self._ended.set()
        self.join(LEAD_SECONDS)
        try:
            if commands().get(SWEEPER) == self._name:
                commands().delete(SWEEPER)
        except redis.RedisError:
            log.debug("the lead was not given up; it expires")

    def sweep(self, now: float) -> bool:
        """Take every step that is due at the monotonic time `now`; returns whether one of them has
        more to do.
        """
        steps: list[tuple[Callable[[], int], float]] = [
            (self._take_over_from_the_dead, 1.0),
            (retries_due, 0.0),
            (callbacks_overdue, 1.0),
            (calls_overdue, 5.0),
            (entries_lost, LOST_SECONDS),
            (callbacks_without_verdict, 5.0),
            (self._read_again, 5.0),
            (flights_wrong, FLIGHT_SECONDS),
            (self._unusable.look, unusable.CHECK_INTERVAL_SECONDS),
        ]
        full = False
        for step, every_seconds in steps:
            if now < self._next.get(step, 0.0):
                continue
            if self._take_step(step, now) >= BATCH:
                full = True
            else:
                self._next[step] = max(self._next.get(step, 0.0), now + every_seconds)
        return full

    def _take_step(self, step: Callable[[], int], now: float) -> int:
        try:
            count = step()
        except (
            redis.ResponseError
        ) as error:  # of a key that holds something else: the other steps go on
            log.debug("the sweep's step %s broke off: %s", step.__name__, type(error).__name__)
            self._suspects.clear()
            self._next[step] = now + OUTAGE_RETRY_SECONDS
            return 0
        except redis.RedisError:
            raise
        except (
            Exception
        ) as error:  # one job or callback that can't be dealt with must not keep the others waiting
            if step not in self._failing:  # else once a second, for as long as the store is away
                log.error("the sweep's step %s failed: %s", step.__name__, type(error).__name__)
            self._failing.add(step)
            close_old_connections()
            self._next[step] = now + OUTAGE_RETRY_SECONDS
            # Who lives and holds answers over an outage of the store records them first.
            self._next[calls_overdue] = now + RECORD_SECONDS
            return 0
        self._failing.discard(step)
        return count

    def _leads(self) -> bool:
        lead = script("lead")(
            keys=[SWEEPER], args=[self._name, int(LEAD_SECONDS * 1000)], client=commands()
        )
        if lead == "new":
            self._suspects.clear()
        return bool(lead)

    def _take_over_from_the_dead(self) -> int:
        unfinished = [
            worker
            for worker in self._suspects.look(time.monotonic())
            if not takeover.take_over(worker)
        ]
        return BATCH if unfinished else 0

    def _read_again(self) -> int:
        return BATCH if self._rereading.go_on(redis_clock.now()) else 0


def retries_due() -> int:
    """Put jobs whose not_before has passed into their streams."""
    now = redis_clock.now()
    due = Job.objects.filter(status=Status.QUEUED, not_before__lte=now).order_by("not_before")
    jobs = list(due.values_list("pk", "vendor")[:BATCH])
    if not jobs:
        return 0
    lifecycle.enqueue_due([job_id for job_id, _ in jobs], now)
    for vendor in {vendor for _, vendor in jobs}:
        stream.add(vendor, [job_id for job_id, of in jobs if of == vendor], Stream.RETRIES)
    return len(jobs)


def callbacks_overdue() -> int:
    """Fail jobs whose callback never came, or try them again, as their vendor is set."""
    now = redis_clock.now()
    jobs = list(
        Job.objects.filter(status=Status.WAITING, deadline_at__lt=now).order_by("deadline_at")[
            :BATCH
        ]
    )
    if not jobs:
        return 0
    # A callback that was taken counts, though its receiver died before it was applied.
    inbox.apply_of([job.pk for job in jobs], now)
    hints = refusals.hints(jobs)
    moves = [_overdue(job, hints.get(job.pk, ""), now) for job in jobs]
    for job, move, happened in zip(jobs, moves, lifecycle.apply(moves), strict=True):
        if happened:
            stream.settle(job.vendor, [move.settlement()])
            _tell_overdue(job, move)
            counters.count("callbacks_overdue", job.vendor)
    return len(jobs)


def _tell_overdue(job: Job, move: lifecycle.Move) -> None:
    if move.to == Status.FAILED:
        failures.tell(job.vendor, move)
    else:
        log.info("job %s of %s is tried again: its callback is overdue", job.pk, job.vendor)


def _overdue(job: Job, hint: str, now: datetime) -> lifecycle.Move:
    vendor = catalogue.get(job.vendor)
    repeat = vendor is not None and vendor.repeat_overdue and job.failures + 1 < vendor.max_attempts
    return lifecycle.overdue(job, repeat=repeat, now=now, hint=hint)


def calls_overdue() -> int:
    """The second net: jobs whose call should have ended long ago, whatever became of their worker."""
    jobs = list(
        Job.objects.filter(status=Status.PROCESSING, deadline_at__lt=redis_clock.now()).order_by(
            "deadline_at"
        )[:BATCH]
    )
    if takeover.take_from(jobs, {}, lifecycle.take_over):
        log.warning("%d calls were overdue and are taken over", len(jobs))
    return len(jobs)


def entries_lost() -> int:
    """Give jobs whose entry Redis has lost a fresh one."""
    return max(
        (_put_back(vendor) for vendor in vendors_with(Status.QUEUED) & catalogue.all().keys()),
        default=0,
    )


def _put_back(vendor: str) -> int:
    try:
        return lost_entries.requeue(vendor)
    except redis.ResponseError as error:
        if not is_wrong_type(error):
            raise
        return 0  # the worker that serves this vendor says so


def flights_wrong() -> int:
    """Make each vendor's in-flight set agree with the rows."""
    busy = set().union(
        *(vendors_with(status) for status in IN_FLIGHT),
        in_flight.vendors_with_slots(catalogue.all()),
    )
    for vendor in busy & catalogue.all().keys():
        in_flight.correct(vendor)
    return 0


def callbacks_without_verdict() -> int:
    """Apply callbacks that were stored, and whose receiver then died."""
    return inbox.apply_pending(redis_clock.now(), older_than=CALLBACK_GRACE, limit=BATCH)
