"""Writes down what came of calls, in batches: first the row, then the acknowledgement."""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Thread

from django.db import close_old_connections

from jobs import failures, lifecycle, retry
from jobs.lifecycle import Move
from jobs.models import FINAL, Job, Status
from jobs.queue import counters
from jobs.queue.breaker import Standing
from jobs.queue.clock import redis_clock
from jobs.queue.stream import Requeue, Settlement
from jobs.storage.store import STORE_ERRORS, refuses
from jobs.worker.execute import Ended
from jobs.worker.health import Health
from vendors.base import Accepted, Done, VendorError
from vendors.models import Vendor

log = logging.getLogger(__name__)

BATCH = 200
# Where calls end one upon the other, it rests between batches, so that what comes in meanwhile
# shares the next commit.
MIN_REST_SECONDS = 0.02
MAX_REST_SECONDS = 0.05
SLOW_SECONDS = 5.0  # a batch that takes longer shows that the store can't keep up
MAX_PAUSE_SECONDS = 5.0


class StoreAwayError(Exception):
    """The store does not answer; the batch is to be recorded later."""


class Recorder(Thread):
    """Records what is put into `ended`, for as long as it takes."""

    def __init__(self, settle: Callable[[str, Sequence[Settlement]], None]) -> None:
        super().__init__(name="recorder", daemon=True)
        self.ended: SimpleQueue[Ended | None] = SimpleQueue()
        self.store_is_away = False
        self._began_at: float | None = None  # with the batch in hand, in monotonic seconds
        self._settle_entries = settle
        self._health = Health()

    def run(self) -> None:
        while batch := self._next_batch():
            self._began_at = time.monotonic()
            self.record(batch)
            took_seconds, self._began_at = time.monotonic() - self._began_at, None
            if 1 < len(batch) < BATCH:
                time.sleep(min(max(2 * took_seconds, MIN_REST_SECONDS), MAX_REST_SECONDS))

    @property
    def is_behind(self) -> bool:
        """Whether answers wait so long or in such numbers to be recorded that no more calls should
        be made.
        """
        began_at = self._began_at
        is_slow = began_at is not None and time.monotonic() - began_at > SLOW_SECONDS
        return self.store_is_away or is_slow or self.ended.qsize() > BATCH

    def finish(self, seconds: float) -> None:
        """Record what is there and end; gives up after `seconds`."""
        self.ended.put(None)
        self.join(seconds)

    def record(self, batch: Sequence[Ended]) -> None:
        standings = self._health.report(batch)
        now = redis_clock.now()
        moves = [_move(ended, standings[ended.started.entry], now) for ended in batch]
        happened = self._apply(moves)
        self._settle(batch, moves, happened)

    def _next_batch(self) -> list[Ended]:
        first = self.ended.get()
        batch = [first] if first else []
        try:
            while first and len(batch) < BATCH:
                following = self.ended.get_nowait()
                if following is None:
                    self.ended.put(None)
                    break
                batch.append(following)
        except Empty:
            pass
        return batch

    def _apply(self, moves: list[Move]) -> list[bool]:
        pause_seconds = 0.1
        while True:
            try:
                happened = _apply_whole_or_singly(moves)
            except StoreAwayError as away:
                if not self.store_is_away:
                    log.error(
                        "the store does not answer (%s); %d answers are kept until it does",
                        away,
                        len(moves),
                    )
                self.store_is_away = True
                close_old_connections()
                time.sleep(pause_seconds)
                pause_seconds = min(MAX_PAUSE_SECONDS, 2 * pause_seconds)
            else:
                self.store_is_away = False
                return happened

    def _settle(
        self, batch: Sequence[Ended], moves: Sequence[Move], happened: Sequence[bool]
    ) -> None:
        settlements: dict[str, list[Settlement]] = {}
        statuses = _statuses(
            [move.job_id for move, yes in zip(moves, happened, strict=True) if not yes]
        )
        for ended, move, yes in zip(batch, moves, happened, strict=True):
            settlements.setdefault(ended.started.vendor.slug, []).append(
                _settlement(ended, move, yes, statuses)
            )
            _tell(ended, move, yes)
        for vendor, of_vendor in settlements.items():
            self._settle_entries(vendor, of_vendor)
        failed = [
            ended
            for ended, move, yes in zip(batch, moves, happened, strict=True)
            if yes and move.to == Status.FAILED
        ]
        counted = [
            *_counters(batch),
            *((failures.JOBS_FAILED, ended.started.vendor.slug) for ended in failed),
        ]
        counters.count_all(Counter(counted))


def _move(ended: Ended, standing: Standing, now: datetime) -> Move:
    job, vendor = ended.started.job, ended.started.vendor
    match ended.answer:
        case None:
            return lifecycle.release(job, now)
        case Done(result):
            return lifecycle.complete(job, result, now)
        case Accepted():
            return lifecycle.wait(
                job, deadline_at=now + timedelta(seconds=vendor.callback_timeout_seconds), now=now
            )
        case VendorError() as error:
            move = _after_error(job, vendor, error, standing, now)
            if move.attempt and error.reply:
                move.attempt.reply = error.reply.as_json()
            return move


def _after_error(
    job: Job, vendor: Vendor, error: VendorError, standing: Standing, now: datetime
) -> Move:
    decision = retry.decide(
        error, failures=job.failures, vendor=vendor, standing=standing, chance=random.random()
    )
    match decision:
        case retry.GiveUp(code, message):
            return lifecycle.fail(job, code, message, now)
        case retry.Retry(counts, delay_seconds):
            not_before = now + timedelta(seconds=delay_seconds) if delay_seconds else None
            return lifecycle.retry_later(
                job, error.code, error.message, counts=counts, not_before=not_before, now=now
            )


def _apply_whole_or_singly(moves: list[Move]) -> list[bool]:
    try:
        return _apply_to_store(moves)
    except StoreAwayError:
        raise
    except Exception as error:
        # Not the store's own words: they may quote rows.
        log.error(
            "the store refused a batch of %d moves (%s); each is tried on its own",
            len(moves),
            type(error).__name__,
        )
        return [_apply_single(move) for move in moves]


def _apply_single(move: Move) -> bool:
    try:
        return _apply_to_store([move])[0]
    except StoreAwayError:
        raise
    except Exception as error:
        return _apply_to_store(
            [lifecycle.not_storable(move, type(error).__name__, redis_clock.now())]
        )[0]


def _apply_to_store(moves: list[Move]) -> list[bool]:
    try:
        return lifecycle.apply(moves)
    except STORE_ERRORS as error:
        if refuses(error):
            raise
        raise StoreAwayError(type(error).__name__) from error


def _settlement(ended: Ended, move: Move, happened: bool, statuses: dict[str, str]) -> Settlement:
    entry, refunds = ended.started.entry, ended.answer is None
    if happened:
        return move.settlement(entry, refunds=refunds)
    status = statuses.get(move.job_id)
    # Whoever took the job over may not have come to replace its entry yet, and would not find this
    # one any more.
    again = Requeue.IF_PENDING if status == Status.QUEUED else Requeue.NO
    # A late permit may have given the job a slot after whoever ended it had freed that.
    return Settlement(
        entry.job_id, entry, frees_slot=status in FINAL, refunds=refunds, requeue=again
    )


def _statuses(job_ids: Sequence[str]) -> dict[str, str]:
    """Return the statuses of the jobs, where there is something to ask for and the store answers."""
    try:
        return (
            dict(Job.objects.filter(pk__in=job_ids).values_list("pk", "status")) if job_ids else {}
        )
    except STORE_ERRORS:
        return {}  # the sweep finds slots and entries that are wrong


def _counters(batch: Sequence[Ended]) -> Iterator[tuple[str, str]]:
    for ended in batch:
        vendor = ended.started.vendor.slug
        match ended.answer:
            case Done() | Accepted():
                yield f"calls_{type(ended.answer).__name__.lower()}", vendor
            case VendorError():
                yield "calls_in_error", vendor


def _tell(ended: Ended, move: Move, happened: bool) -> None:
    """Log what an operator would want to know of; a job that went well is no news."""
    vendor, job = ended.started.vendor, ended.started.job
    if not happened:
        _keep_attempt(move)
        log.info(
            "job %s of %s had moved on before attempt %d was recorded", job.pk, vendor, job.attempt
        )
    elif move.to == Status.FAILED:
        failures.put_in_log(vendor.slug, move)
    elif isinstance(ended.answer, VendorError):
        log.info("job %s of %s is tried again: %s", job.pk, vendor, ended.answer.message)


def _keep_attempt(move: Move) -> None:
    try:
        lifecycle.keep_attempt(move)
    except STORE_ERRORS as error:
        log.info(
            "an attempt of job %s is not in its history: %s", move.job_id, type(error).__name__
        )
