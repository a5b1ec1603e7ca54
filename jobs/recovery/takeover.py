"""Takes jobs over from workers that are dead. An entry never goes from one worker to another: the
row goes back to the queue first, then a fresh entry takes the place of the old one.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jobs import failures, lifecycle
from jobs.lifecycle import Move
from jobs.models import Job, Status
from jobs.queue import counters, stream
from jobs.queue.clock import redis_clock
from jobs.queue.heartbeat import HEARTBEAT_INTERVAL_SECONDS, HEARTBEAT_TIMEOUT_SECONDS
from jobs.queue.keys import HEARTBEATS
from jobs.queue.redis import commands, script
from jobs.queue.stream import Entry
from jobs.recovery import pending
from vendors.catalogue import catalogue

log = logging.getLogger(__name__)

BATCH = 200


@dataclass
class Suspects:
    """Workers whose beat is missing. Dead is who is missing in two looks two beats apart, with
    Redis the same all the while.
    """

    _redis_run_id: str = ""
    _since: dict[str, float] = field(default_factory=dict)

    def clear(self) -> None:
        """A look failed, so that nobody can be said to have been silent."""
        self._since = {}

    def look(self, now: float) -> list[str]:
        """Look once, at the monotonic time `now`, and return who is dead. Raises redis.RedisError."""
        run_id, *silent = script("silent")(
            keys=[HEARTBEATS], args=[int(HEARTBEAT_TIMEOUT_SECONDS * 1000)], client=commands()
        )
        if run_id != self._redis_run_id:
            self._redis_run_id = run_id
            self.clear()
        self._since = {worker: self._since.get(worker, now) for worker in silent}
        return [
            worker
            for worker, since in self._since.items()
            if now - since >= 2 * HEARTBEAT_INTERVAL_SECONDS
        ]


def take_over(worker: str) -> bool:
    """Take a batch of jobs over from a dead worker. Returns whether that was all, and it is
    forgotten.

    Raises redis.RedisError and DatabaseError; then it is to be called again.
    """
    vendors = list(catalogue.all())
    entries = {
        entry.job_id: entry for vendor in vendors for entry in pending.pending(vendor, worker)
    }
    jobs = list(Job.objects.filter(status=Status.PROCESSING, worker=worker)[:BATCH])
    take_from(jobs, entries, lifecycle.take_over)
    if len(jobs) == BATCH:
        return False
    # What is still pending was never started, or has moved on.
    for vendor in vendors:
        pending.requeue(vendor, worker, held=())
    pending.forget(vendors, worker)
    commands().zrem(HEARTBEATS, worker)
    log.warning("worker %s is dead; %d of its jobs are taken over", worker, len(jobs))
    return True


def interrupt(worker: str, vendors: Sequence[str]) -> int:
    """Hand back what a worker that stops has not ended; returns how many calls were still under
    way.

    Raises redis.RedisError and DatabaseError.
    """
    entries = {
        entry.job_id: entry for vendor in vendors for entry in pending.pending(vendor, worker)
    }
    interrupted = take_from(
        list(Job.objects.filter(status=Status.PROCESSING, worker=worker)),
        entries,
        lifecycle.interrupt,
    )
    for vendor in vendors:
        pending.requeue(vendor, worker, held=())
    return interrupted


def take_from(jobs: Sequence[Job], entries: dict[str, Entry], how: Callable[..., Move]) -> int:
    """Take jobs from their worker by the move `how`, with their entries as far as they are known;
    returns how many were.

    Raises redis.RedisError and DatabaseError.
    """
    moves = [how(job, repeat=_repeats(job), now=redis_clock.now()) for job in jobs]
    happened = lifecycle.apply(moves) if moves else []
    taken_over = [(job, move) for job, move, yes in zip(jobs, moves, happened, strict=True) if yes]
    for job, move in taken_over:
        stream.settle(job.vendor, [move.settlement(entries.get(job.pk))])
        counters.count("taken_over", job.vendor)
        if move.to == Status.FAILED:
            failures.tell(job.vendor, move)
    return len(taken_over)


def _repeats(job: Job) -> bool:
    vendor = catalogue.get(job.vendor)
    return vendor is None or vendor.repeat_unknown
