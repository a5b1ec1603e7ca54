"""Adds to counts what became of calls and jobs."""

import math
from bisect import bisect_left
from typing import Any, Protocol

from jobs.models import UNKNOWN, Attempt, Status
from jobs.tallies.counts import BOUNDS, Counts, Histogram

ANSWERED = frozenset(("found", "no_data", "pending"))  # other outcomes are codes of errors
# Of attempts whose end nobody saw. That says nothing about the vendor.
UNSEEN = frozenset((UNKNOWN, "worker_lost", "worker_stopped"))


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


def add_move(counts: Counts, move: MoveMade, *, ends: bool) -> None:
    """`ends`: whether the move happened and ended its job."""
    attempt, accepted_at, changes = move.attempt, time_of(move.job_id), move.changes
    if attempt and move.was_called and attempt.outcome not in UNSEEN:
        add_call(counts, attempt, accepted_at)
    if ends:
        is_first_run = (attempt or move).run == 1
        seconds = changes["finished_at"].timestamp() - accepted_at if is_first_run else None
        add_end(counts, move.to, changes.get("error_code", ""), seconds)


def add_call(counts: Counts, attempt: Attempt, accepted_at: float) -> None:
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


def add_end(counts: Counts, to: str, code: str, seconds: float | None) -> None:
    """`seconds`: since the job was accepted. None if it was retried since then."""
    if to == Status.COMPLETE:
        counts.done += 1
    elif to == Status.FAILED:
        counts.failed += 1
        counts.job_codes[str(code)] += 1
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


def time_of(job_id: str) -> float:
    """Return when the id, a UUIDv7, was made. Much quicker than jobs.models.time_of."""
    try:
        return int(job_id[:8] + job_id[9:13], 16) / 1000
    except ValueError:
        return math.nan
