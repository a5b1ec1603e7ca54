"""Records what executions came to: for each a move of its job, all in one bulk write."""

import logging
import random
import time
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import close_old_connections

from jobs import failures, lifecycle, retry, tallies
from jobs.lifecycle import Move
from jobs.models import Attempt, Job, Kind, Status
from jobs.queue.clock import redis_clock
from jobs.queue.health.breaker import Standing
from jobs.storage.store import STORE_ERRORS, refuses
from jobs.worker import polls
from jobs.worker.execution import Execution
from jobs.worker.health import Health
from vendors.base import Accepted, Done, VendorError
from vendors.models import Vendor
from vendors.registry import location_of

log = logging.getLogger(__name__)

MIN_PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 5.0


class StoreAwayError(Exception):
    """The store does not answer. The moves must be applied again later."""


class Recorder:
    """Records executions, for as long as the store takes to accept them."""

    def __init__(self) -> None:
        self.store_is_away = False
        self.recorded = 0  # executions, since the worker started
        self._slowest_seconds: float | None = None
        self._health = Health()

    def record(self, executions: Sequence[Execution]) -> None:
        """Set standing and move of each execution, apply the moves, and set which happened."""
        self._health.report(executions)
        now = redis_clock.now()
        moves = [_move(execution, now) for execution in executions]
        began_at = time.monotonic()
        happened = self._apply(moves)
        self.recorded += len(executions)
        seconds = time.monotonic() - began_at
        self._slowest_seconds = max(self._slowest_seconds or 0.0, seconds)
        tallies.committed(seconds)
        for execution, move, yes in zip(executions, moves, happened, strict=True):
            execution.move, execution.happened = move, yes
            _log(execution)
            if not yes:
                _keep_attempt(move)
        _forget_old_polls(executions, now)

    def slowest_ms(self) -> float | None:
        """Return how long the slowest write took since the last call; None if there was none."""
        slowest, self._slowest_seconds = self._slowest_seconds, None
        return None if slowest is None else slowest * 1000

    def _apply(self, moves: list[Move]) -> list[bool]:
        """Apply the moves, again and again while the store is away."""
        pause_seconds = MIN_PAUSE_SECONDS
        while True:
            try:
                happened = _apply_together_or_singly(moves)
            except StoreAwayError as away:
                if not self.store_is_away:
                    count = len(moves)
                    log.error("the store does not answer (%s); %d answers are kept", away, count)
                self.store_is_away = True
                close_old_connections()
                time.sleep(pause_seconds)
                pause_seconds = min(MAX_PAUSE_SECONDS, 2 * pause_seconds)
            else:
                self.store_is_away = False
                return happened


def _move(execution: Execution, now: datetime) -> Move:
    """Return the move for what an execution came to. An answer that can't be understood fails its
    job, and no other.
    """
    try:
        move = _move_by_answer(execution, now)
    except Exception as error:
        job, poll, reason = execution.job, execution.poll, type(error).__name__
        where = location_of(error)
        log.error("the answer to job %s can't be recorded: %s at %s", job.pk, reason, where)
        by_poll = lifecycle.fail_by_poll(job, "", "", poll, now) if poll else None
        move = lifecycle.not_storable(by_poll or lifecycle.fail(job, "", "", now), reason, now)
    if move.attempt and not execution.was_called:
        move.attempt.units = 0
    elif move.attempt and not execution.poll:  # that of a poll says it since its claim
        lifecycle.note_charge(move.attempt, execution.vendor)
    return move


def _move_by_answer(execution: Execution, now: datetime) -> Move:
    job, vendor = execution.job, execution.vendor
    if execution.poll:
        return polls.move_of(execution, execution.poll, now)
    match execution.answer:
        case None:
            return lifecycle.release(job, now)
        case Done() as done:
            return lifecycle.complete(job, done, now)
        case Accepted() as accepted:
            return _wait(job, vendor, accepted, now)
        case VendorError() as error:
            return _move_after_error(job, vendor, error, execution.standing, now)


def _wait(job: Job, vendor: Vendor, accepted: Accepted, now: datetime) -> Move:
    deadline_at, next_poll_at = now + timedelta(seconds=vendor.answer_timeout_seconds), None
    if vendor.polling:
        wait = vendor.polling.wait(accepted.retry_after, is_first=True)
        next_poll_at = min(now + wait, deadline_at)
    return lifecycle.wait(
        job, accepted, deadline_at=deadline_at, next_poll_at=next_poll_at, now=now
    )


def _move_after_error(
    job: Job, vendor: Vendor, error: VendorError, standing: Standing, now: datetime
) -> Move:
    decision = retry.decide(
        error, failures=job.failures, vendor=vendor, standing=standing, chance=random.random()
    )
    match decision:
        case retry.GiveUp(code, message):
            move = lifecycle.fail(job, code, message, now)
        case retry.Retry(counts) as later:
            move = lifecycle.retry_later(
                job,
                error.code,
                error.message,
                counts=counts,
                not_before=later.not_before(now),
                now=now,
            )
    if move.attempt:
        move.attempt.cost = error.cost
        move.attempt.reply = error.reply.as_json() if error.reply else None
    return move


def _apply_together_or_singly(moves: list[Move]) -> list[bool]:
    try:
        return _apply_once(moves)
    except StoreAwayError:
        raise
    except Exception as error:
        # Without the message of the store, which may quote rows.
        reason = type(error).__name__
        log.error("the store refused %d moves (%s); applying each alone", len(moves), reason)
        return [_apply_single(moves, number) for number in range(len(moves))]


def _apply_single(moves: list[Move], number: int) -> bool:
    """Apply the move, or replace it by one that fails its job if the store refuses it.

    If it refuses that too, the job is taken over once it is overdue.
    """
    try:
        return _apply_once([moves[number]])[0]
    except StoreAwayError:
        raise
    except Exception as error:
        reason, now = type(error).__name__, redis_clock.now()
    moves[number] = lifecycle.not_storable(moves[number], reason, now)
    try:
        return _apply_once([moves[number]])[0]
    except StoreAwayError:
        raise
    except Exception as error:
        job_id, reason = moves[number].job_id, type(error).__name__
        log.error("the end of job %s could not be stored (%s)", job_id, reason)
        return False


def _apply_once(moves: list[Move]) -> list[bool]:
    try:
        return lifecycle.apply(moves)
    except STORE_ERRORS as error:
        if refuses(error):
            raise
        raise StoreAwayError(type(error).__name__) from error


def _log(execution: Execution) -> None:
    """Log failures, retries and moves that came too late. Successful jobs are not logged."""
    vendor, job, move = execution.vendor, execution.job, execution.move
    if move is None or not execution.happened:
        log.info("job %s of %s moved before attempt %d was recorded", job.pk, vendor, job.attempt)
    elif move.to == Status.FAILED:
        failures.report(vendor.slug, move)
    elif isinstance(execution.answer, VendorError):
        what = "polled again" if execution.poll else "retried"
        message, key = execution.answer.message, execution.entry.credential
        with_key = f" (key {key})" if key else ""
        log.info("job %s of %s will be %s: %s%s", job.pk, vendor, what, message, with_key)


def _keep_attempt(move: Move) -> None:
    """Keep the attempt of a move that did not happen, for example because a callback came first."""
    attempt = move.attempt
    if attempt is None or attempt.kind != Kind.CALL:
        return  # a poll has its row
    calls = Attempt.objects.filter(job=attempt.job, number=attempt.number, kind=Kind.CALL)
    try:
        if not calls.exists():
            attempt.save(force_insert=True)
    except Exception as error:  # one attempt must not keep the answers of other jobs
        reason = type(error).__name__
        log.info("an attempt of job %s is missing in its history: %s", move.job_id, reason)


def _forget_old_polls(executions: Sequence[Execution], now: datetime) -> None:
    try:
        polls.forget_old(executions, now)
    except STORE_ERRORS as error:
        log.info("old polls are deleted later: the store failed (%s)", type(error).__name__)
