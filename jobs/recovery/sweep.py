"""The sweep: acts on jobs for which time has passed, and repairs what Redis lost.

One worker sweeps at a time. Every step is bounded, and cheap when it finds nothing.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta
from threading import Event, Thread

import redis
from django.db import close_old_connections

from jobs import lifecycle
from jobs.bulk import step as bulk
from jobs.callbacks import apply
from jobs.callbacks.retry_unmatched import UnmatchedRetries
from jobs.callbacks.retry_unreadable import UnreadableRetries
from jobs.models import IN_FLIGHT, Job, Status, Stream
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from jobs.queue.keys import SWEEPER
from jobs.queue.redis import commands, script
from jobs.queue.redis_errors import is_wrong_type
from jobs.recovery import in_flight, lost_entries, spent_quotas, takeover
from jobs.recovery.batches import BatchSweep
from jobs.recovery.key_pauses import pause_or_resume_users
from jobs.recovery.overdue import resolve_overdue_jobs
from jobs.recovery.polls import UnpolledJobs, UnreadStreams, add_due_polls, stop_polls
from jobs.recovery.rebuild.target import capped_targets
from jobs.recovery.unusable_pauses import UnusablePauses
from jobs.storage.store import STORE_ERRORS, refuses
from jobs.tallies.fold import Folder
from jobs.tallies.samples import Sampler
from vendors.catalogue import catalogue

log = logging.getLogger(__name__)

TICK_SECONDS = 0.5
LOCK_SECONDS = 5.0
CALLBACK_GRACE = timedelta(seconds=10)
CHUNK = 500
RETRY_INTERVAL_SECONDS = 1.0  # of a step that failed
RECORD_SECONDS = 15.0  # longer than a recorder's longest delay between two retries

Step = Callable[[], int]  # returns how many it dealt with; CHUNK or more: there may be more to do


class Sweeper(Thread):
    """Sweeps while it is the leader. Every worker process has one; an expiring lock elects one."""

    def __init__(self, name: str) -> None:
        super().__init__(name="sweep", daemon=True)
        self._name = name
        self._ended = Event()
        self._failure_detector = takeover.FailureDetector()
        self._unreadable_retries = UnreadableRetries()
        self._unmatched_retries = UnmatchedRetries()
        self._unpolled_jobs = UnpolledJobs()
        self._unread_streams = UnreadStreams()
        self._unusable_pauses = UnusablePauses()
        self._batches = BatchSweep()
        self._tallies = Folder()
        self._samples = Sampler()
        self._next_at: dict[Step, float] = {}
        self._failing: set[Step] = set()

    def run(self) -> None:
        while not self._ended.is_set():
            has_more = False
            try:
                has_more = self._is_leader() and self.sweep(time.monotonic())
            except redis.RedisError as error:
                log.debug("sweep stopped: %s", type(error).__name__)
                self._failure_detector.reset()
            if not has_more:
                self._ended.wait(TICK_SECONDS)

    def end(self) -> None:
        """Stop sweeping, and release the lock so that another worker leads at once."""
        self._ended.set()
        self.join(LOCK_SECONDS)
        try:
            if commands().get(SWEEPER) == self._name:
                commands().delete(SWEEPER)
        except redis.RedisError:
            log.debug("the sweep's lock was not released; it will expire")

    def sweep(self, now: float) -> bool:
        """Run the steps that are due at the monotonic time `now`; returns whether there is more."""
        steps: list[tuple[Step, float]] = [  # with the interval in seconds
            (self._take_over_dead_workers, 1.0),
            (enqueue_due_jobs, 0.0),
            (add_due_polls, 0.0),
            (stop_polls, 5.0),
            (self._unpolled_jobs.step, 5.0),
            (self._unread_streams.step, 5.0),
            (resolve_overdue_jobs, 1.0),
            (spent_quotas.fail_jobs, 1.0),
            (take_over_overdue_calls, 5.0),
            (self._batches.advance, 0.0),
            (self._batches.seal_abandoned, 60.0),
            (bulk.advance, 0.0),
            (requeue_lost_entries, 5.0),
            (apply_stored_callbacks, 5.0),
            (self._reread_callbacks, 5.0),
            (self._match_callbacks, 5.0),
            (correct_in_flight_sets, 30.0),
            (self._unusable_pauses.pause_or_resume, 2.0),
            (pause_or_resume_users, 2.0),
            (self._samples.step, 60.0),
            (self._tallies.step, 5.0),
        ]
        has_more = False
        for step, interval_seconds in steps:
            if now < self._next_at.get(step, 0.0):
                continue
            if self._run_step(step, now) >= CHUNK:
                has_more = True
            else:
                self._next_at[step] = max(self._next_at.get(step, 0.0), now + interval_seconds)
        return has_more

    def _run_step(self, step: Step, now: float) -> int:
        try:
            count = step()
        except redis.ResponseError as error:  # a key of the wrong type: go on with other steps
            log.debug("sweep step %s stopped: %s", step.__name__, type(error).__name__)
            self._failure_detector.reset()
            self._next_at[step] = now + RETRY_INTERVAL_SECONDS
            return 0
        except redis.RedisError:
            raise
        except Exception as error:  # one faulty job or callback must not block the other steps
            self._note_failure(step, error, now)
            return 0
        self._failing.discard(step)
        return count

    def _note_failure(self, step: Step, error: Exception, now: float) -> None:
        if step not in self._failing:  # once, and not every second while the store is down
            log.error("sweep step %s failed: %s", step.__name__, type(error).__name__)
        self._failing.add(step)
        close_old_connections()
        self._next_at[step] = now + RETRY_INTERVAL_SECONDS
        if isinstance(error, STORE_ERRORS) and not refuses(error):
            # After an outage of the store, live workers record the answers that they have first.
            self._next_at[take_over_overdue_calls] = now + RECORD_SECONDS

    def _is_leader(self) -> bool:
        lead = script("lead")(
            keys=[SWEEPER], args=[self._name, int(LOCK_SECONDS * 1000)], client=commands()
        )
        if lead == "new":
            self._failure_detector.reset()
        return bool(lead)

    def _take_over_dead_workers(self) -> int:
        dead = self._failure_detector.check(time.monotonic())
        unfinished = [worker for worker in dead if not takeover.take_over(worker)]
        return CHUNK if unfinished else 0

    def _reread_callbacks(self) -> int:
        return CHUNK if self._unreadable_retries.step(redis_clock.now()) else 0

    def _match_callbacks(self) -> int:
        return CHUNK if self._unmatched_retries.step(redis_clock.now()) else 0


def enqueue_due_jobs() -> int:
    """Add entries for jobs whose not_before has passed: retries, and delayed first attempts."""
    now = redis_clock.now()
    due = Job.objects.filter(status=Status.QUEUED, not_before__lte=now).order_by("not_before")
    jobs = list(due.values_list("vendor", "stream", "pk")[:CHUNK])
    if not jobs:
        return 0
    lifecycle.enqueue_due([job_id for _, _, job_id in jobs], now)
    ids: dict[tuple[str, str], list[str]] = defaultdict(list)
    for vendor, of, job_id in jobs:
        ids[vendor, of].append(job_id)
    for (vendor, of), job_ids in ids.items():
        stream.add(vendor, job_ids, Stream(of))
    return len(jobs)


def take_over_overdue_calls() -> int:
    """Take over jobs whose call should have ended long ago, whether or not their worker is dead."""
    late = Job.objects.filter(status=Status.PROCESSING, deadline_at__lt=redis_clock.now())
    jobs = list(late.order_by("deadline_at")[:CHUNK])
    if takeover.take_from(jobs, {}, lifecycle.take_over):
        log.warning("took over %d overdue calls", len(jobs))
    return len(jobs)


def requeue_lost_entries() -> int:
    """Add a fresh entry for each job whose entry Redis has lost."""
    vendors = _vendors_with(Status.QUEUED) & catalogue.all().keys()
    return max((_requeue_lost(vendor) for vendor in vendors), default=0)


def _requeue_lost(vendor: str) -> int:
    try:
        return lost_entries.requeue(vendor)
    except redis.ResponseError as error:
        if not is_wrong_type(error):
            raise
        return 0  # the worker that serves this vendor logs it


def correct_in_flight_sets() -> int:
    """Make each in-flight set, of a vendor or of a shared limit, agree with the rows."""
    with_rows = (_vendors_with(status) for status in IN_FLIGHT)
    busy = set().union(*with_rows, in_flight.vendors_with_slots(catalogue.all()))
    for vendor in busy & catalogue.all().keys():
        in_flight.correct(vendor)
    for target in capped_targets(catalogue.all()):
        in_flight.correct_shared(target)
    return 0


def apply_stored_callbacks() -> int:
    """Apply callbacks that were stored but not applied, because their receiver died."""
    return apply.apply_pending(redis_clock.now(), older_than=CALLBACK_GRACE, limit=CHUNK)


def _vendors_with(status: Status) -> set[str]:
    """Return the vendors that have jobs of this status.

    A loose index scan, with one read per vendor: the first job of one vendor, then of the next. It
    stays cheap with a million jobs.
    """
    found: list[str] = []
    vendors = Job.objects.filter(status=status).order_by("vendor").values_list("vendor", flat=True)
    while vendor := vendors.filter(vendor__gt=found[-1] if found else "").first():
        found.append(vendor)
    return set(found)
