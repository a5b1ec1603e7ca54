"""Takes jobs over from dead workers.

An entry never moves from one worker to another: the row goes back to the queue first, then a fresh
entry replaces the old one.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobs import failures, lifecycle, tallies
from jobs.lifecycle import Move
from jobs.models import Attempt, Job, Kind, Status, Stream
from jobs.queue import stream, workers
from jobs.queue.clock import redis_clock
from jobs.queue.heartbeat import HEARTBEAT_INTERVAL_SECONDS, HEARTBEAT_TIMEOUT_SECONDS
from jobs.queue.keys import HEARTBEATS
from jobs.queue.redis import commands, script
from jobs.queue.stream import Entry
from jobs.recovery import pending
from jobs.recovery.rebuild.rows import has_moved
from vendors.catalogue import catalogue
from vendors.models import Limit

log = logging.getLogger(__name__)

CHUNK = 200


@dataclass
class FailureDetector:
    """Declares a worker dead when it was silent in all checks of two heartbeat intervals, without a
    restart of Redis in between.
    """

    _redis_run_id: str = ""
    _silent_since: dict[str, float] = field(default_factory=dict)

    def reset(self) -> None:
        """Forget past checks, because one failed: its silence proves nothing."""
        self._silent_since = {}

    def check(self, now: float) -> list[str]:
        """Return the dead workers. `now`: monotonic seconds. Raises redis.RedisError."""
        run_id, *silent = script("silent")(
            keys=[HEARTBEATS], args=[int(HEARTBEAT_TIMEOUT_SECONDS * 1000)], client=commands()
        )
        if run_id != self._redis_run_id:
            self._redis_run_id = run_id
            self.reset()
        self._silent_since = {worker: self._silent_since.get(worker, now) for worker in silent}
        since = now - 2 * HEARTBEAT_INTERVAL_SECONDS
        return [worker for worker, at in self._silent_since.items() if at <= since]


def take_over(worker: str) -> bool:
    """Take a chunk of jobs over from a dead worker. True: none is left, the worker is forgotten.

    Raises redis.RedisError and DatabaseError; call it again then.
    """
    vendors = list(catalogue.all())
    entries = _pending_by_job(vendors, worker)
    jobs = list(Job.objects.filter(status=Status.PROCESSING, worker=worker)[:CHUNK])
    take_from(jobs, entries, lifecycle.take_over)
    if len(jobs) == CHUNK:
        return False
    # What is still pending was never claimed, or its job has moved on.
    for vendor in vendors:
        pending.requeue(vendor, worker, held=())
    pending.forget(vendors, worker)
    commands().zrem(HEARTBEATS, worker)
    workers.forget_old(commands())
    log.warning("worker %s is dead; took over %d of its jobs", worker, len(jobs))
    return True


def interrupt(worker: str, vendors: Sequence[str]) -> int:
    """Requeue what a stopping worker has not finished; returns how many calls were interrupted.

    Raises redis.RedisError and DatabaseError.
    """
    entries = _pending_by_job(vendors, worker)
    jobs = list(Job.objects.filter(status=Status.PROCESSING, worker=worker))
    interrupted = take_from(jobs, entries, lifecycle.interrupt)
    for vendor in vendors:
        pending.requeue(vendor, worker, held=())
    return interrupted


def _pending_by_job(vendors: Sequence[str], worker: str) -> dict[str, Entry]:
    entries = (entry for vendor in vendors for entry in pending.entries_of(vendor, worker))
    return {entry.job_id: entry for entry in entries if entry.stream != Stream.POLLS}


def take_from(jobs: Sequence[Job], entries: dict[str, Entry], how: Callable[..., Move]) -> int:
    """Move jobs away from their worker by `how`, with their entries if known; returns how many.

    Raises redis.RedisError and DatabaseError.
    """
    moves = [_noted(how(job, repeat=_repeats(job), now=redis_clock.now()), job) for job in jobs]
    happened = lifecycle.apply(moves) if moves else []
    taken_over = [(job, move) for job, move, yes in zip(jobs, moves, happened, strict=True) if yes]
    for job, move in taken_over:
        stream.settle(job.vendor, [move.settlement(entries.get(job.pk))])
        tallies.count("takeovers", job.vendor)
        if move.to == Status.FAILED:
            failures.report(job.vendor, move)
    return len(taken_over)


def _noted(move: Move, job: Job) -> Move:
    """Note on its attempt what the call was charged at most: as its vendor says now, and as it may
    have said when the call was permitted.
    """
    vendor, attempt = catalogue.get(job.vendor), move.attempt
    if vendor and attempt:
        at = attempt.started_at
        lifecycle.note_charge(attempt, vendor, max(vendor.weight, _units_before(job.vendor, at)))
        if has_moved(vendor, at) and (names := Limit.objects.values_list("slug", flat=True)):
            attempt.limits = f",{','.join(names)},"
    return move


def _units_before(vendor: str, at: datetime) -> int:
    """Return the units of the vendor's last call that is recorded from before this time."""
    calls = Attempt.objects.filter(vendor=vendor, kind=Kind.CALL, started_at__lte=at, units__gt=0)
    return calls.order_by("-started_at").values_list("units", flat=True).first() or 0


def _repeats(job: Job) -> bool:
    vendor = catalogue.get(job.vendor)
    return vendor is None or vendor.repeat_unknown
