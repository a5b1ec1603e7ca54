"""What this process has counted and not yet forgotten: one row for each vendor and minute."""

import logging
import math
import os
import secrets
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Any, Protocol

from jobs.models import FINAL, UNKNOWN, Attempt, Job, Status
from jobs.queue.clock import redis_clock
from jobs.tallies.counts import BOUNDS, Counts, Histogram

log = logging.getLogger(__name__)

ANSWERED = frozenset(("found", "no_data", "pending"))  # other outcomes are codes of errors
# Of attempts whose end nobody saw. That says nothing about the vendor.
UNSEEN = frozenset((UNKNOWN, "worker_lost", "worker_stopped"))
SLOW_SECONDS = 1.0  # of a commit


class MoveMade(Protocol):
    """A jobs.lifecycle.Move, which is a layer above."""

    @property
    def job_id(self) -> str: ...
    @property
    def to(self) -> Status: ...
    @property
    def changes(self) -> dict[str, Any]: ...
    @property
    def attempt(self) -> Attempt | None: ...
    @property
    def was_called(self) -> bool: ...
    @property
    def vendor(self) -> str: ...
    @property
    def run(self) -> int: ...


@dataclass(eq=False, slots=True)
class Row:
    """What this process has counted for a vendor in a minute."""

    vendor: str
    minute: int  # since 1970
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
                    _add(counts, move, now, ends=ends)
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

    def _counts(self, now: float, vendor: str) -> Counts:
        """Return the counts of the current minute, to be changed under the lock."""
        key = int(now // 60), vendor
        row = self.rows.get(key)
        if row is None:
            row = self.rows[key] = Row(vendor, key[0])
        row.changes += 1
        return row.counts


def _add(counts: Counts, move: MoveMade, now: float, *, ends: bool) -> None:
    attempt, accepted_at = move.attempt, _time_of(move.job_id)
    if attempt and move.was_called and attempt.outcome not in UNSEEN:
        _add_call(counts, attempt, accepted_at)
    if ends:
        is_first_run = (attempt or move).run == 1
        _add_end(counts, move, now - accepted_at if is_first_run else None)


def _add_call(counts: Counts, attempt: Attempt, accepted_at: float) -> None:
    outcome, is_call = attempt.outcome, attempt.kind == "call"
    ended = counts.calls if is_call else counts.polls
    if outcome in ANSWERED:
        ended[outcome] += 1
    else:
        ended["error"] += 1
        counts.call_codes[str(outcome)] += 1
    if attempt.cost:
        counts.cost += attempt.cost
    if is_call:
        started_at = attempt.started_at.timestamp()
        if attempt.units:  # something was sent
            _add_seconds(counts.call, attempt.ended_at.timestamp() - started_at)
        if attempt.number == 1:
            _add_seconds(counts.wait, started_at - accepted_at)


def _add_end(counts: Counts, move: MoveMade, seconds: float | None) -> None:
    """`seconds`: since the job was accepted. None if it was retried since then."""
    to = move.to
    if to == Status.COMPLETE:
        counts.done += 1
    elif to == Status.FAILED:
        counts.failed += 1
        counts.job_codes[str(move.changes["error_code"])] += 1
    else:
        counts.cancelled += 1
        return
    if seconds is not None:
        _add_seconds(counts.job, seconds)


def _add_seconds(histogram: Histogram, seconds: float) -> None:
    """Do what Histogram.add does, at half its price."""
    number, buckets = bisect_left(BOUNDS, seconds), histogram.buckets
    buckets[number] = buckets.get(number, 0) + 1
    if seconds > 0:  # clocks may disagree
        histogram.total += seconds


def _time_of(job_id: str) -> float:
    """Return when the id, a UUIDv7, was made. Much quicker than jobs.models.time_of."""
    try:
        return int(job_id[:8] + job_id[9:13], 16) / 1000
    except ValueError:
        return math.nan


def minute_of(at: datetime) -> int:
    return int(at.timestamp() // 60)


memory = Memory()
os.register_at_fork(after_in_child=memory.reset)
