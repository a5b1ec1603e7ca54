"""What this process has counted and not yet forgotten: one row for each vendor and minute."""

import logging
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from jobs.models import FINAL, Job
from jobs.queue.clock import redis_clock
from jobs.tallies.adding import MoveMade, add_move
from jobs.tallies.counts import Counts

log = logging.getLogger(__name__)

SLOW_SECONDS = 1.0  # of a commit


@dataclass(eq=False, slots=True)
class Row:
    """What this process has counted for a vendor in a minute."""

    vendor: str
    minute: int  # since 1970
    process: str
    counts: Counts = field(default_factory=Counts)
    changes: int = 0  # rises with each change
    written: int = 0  # `changes` when the row was last written
    was_sent: bool = False  # it may be in the store, whether or not a write was confirmed


class Memory:
    """Counts, from all threads of a process."""

    def __init__(self) -> None:
        self.reset()
        self.wake: Callable[[], None] = lambda: None  # tells the writer that a row has changed

    def reset(self) -> None:
        """Forget everything, as after a fork: the rows are those of the parent."""
        self.process = secrets.token_hex(8)
        self.lock = Lock()
        self.rows: dict[tuple[int, str], Row] = {}
        self.first_minute = 0  # before it, all is folded
        self._last_dropped = 0  # the latest minute of the rows that were forgotten

    def note(self, moves: Sequence[MoveMade], happened: Sequence[bool]) -> None:
        """Count what these moves did, now that they are committed: the calls that ended, whether
        or not another process moved the job first, and the jobs.
        """
        now = redis_clock.now().timestamp()
        found: dict[str, Counts] = {}
        with self.lock:
            for move, yes in zip(moves, happened, strict=True):
                attempt, ends = move.attempt, yes and move.to in FINAL
                if not (attempt or ends):
                    continue
                vendor = attempt.vendor if attempt else move.vendor
                counts = found.get(vendor)
                if counts is None:
                    counts = found[vendor] = self._counts(now, vendor)
                try:
                    add_move(counts, move, ends=ends)
                except Exception as error:  # what happened has happened, counted or not
                    log.error("a move can't be counted: %s", type(error).__name__)
        self.wake()

    def accepted(self, jobs: Iterable[Job]) -> None:
        """Count jobs that are committed."""
        now = redis_clock.now().timestamp()
        with self.lock:
            for job in jobs:
                self._counts(now, job.vendor).accepted += 1
        self.wake()

    def count(self, event: str, vendor: str = "", by: int = 1) -> None:
        """Count something else that happened, to a vendor or to the service."""
        now = redis_clock.now().timestamp()
        with self.lock:
            self._counts(now, vendor).events[event] += by
        self.wake()

    def add_cost(self, vendor: str, cost: float) -> None:
        """Add to the cost of a call that is counted already. `cost` may be negative."""
        self.add(vendor, Counts(cost=cost, refunded=max(-cost, 0.0)))

    def committed(self, seconds: float) -> None:
        """Count a commit that took too long."""
        if seconds > SLOW_SECONDS:
            self.count("slow_commits")

    def sample(self, vendor: str, waiting: int, oldest_seconds: float | None) -> None:
        """Note how many jobs wait now, and for how long the oldest does."""
        now = redis_clock.now().timestamp()
        with self.lock:
            self._counts(now, vendor).sample(waiting, oldest_seconds)
        self.wake()

    def add(self, vendor: str, counts: Counts) -> None:
        """Count now what could not be written in its own time."""
        now = redis_clock.now().timestamp()
        with self.lock:
            self._counts(now, vendor).merge(counts)
        self.wake()

    def _counts(self, now: float, vendor: str) -> Counts:
        """Return the counts of the current minute, to be changed under the lock."""
        key = max(int(now // 60), self.first_minute), vendor
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = self._new_row(vendor, key[0])
        row.changes += 1
        return row.counts

    def _new_row(self, vendor: str, minute: int) -> Row:
        if minute <= self._last_dropped:  # the clock went back: do not overwrite the row of then
            self.process, self._last_dropped = secrets.token_hex(8), 0
        return Row(vendor, minute, self.process)

    def drop(self, row: Row) -> None:
        """Forget a row. Called under the lock."""
        del self.rows[row.minute, row.vendor]
        self._last_dropped = max(self._last_dropped, row.minute)


def minute_of(at: datetime) -> int:
    return int(at.timestamp() // 60)


memory = Memory()
os.register_at_fork(after_in_child=memory.reset)
