"""Writes down what came of calls, in batches: first the row, then the acknowledgement."""

import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from queue import Empty, SimpleQueue
from threading import Thread

import redis
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, close_old_connections

from jobs import breaker, counts, lifecycle, limiter, retry, stream
from jobs.breaker import DENIED_JOBS, Report, Standing
from jobs.lifecycle import Move
from jobs.models import Job, Status
from jobs.stream import Entry, Settlement
from vendors import pauses
from vendors.base import Accepted, Done, VendorError
from vendors.models import Vendor

log = logging.getLogger(__name__)

BATCH = 200
FRESH_PAUSE_SECONDS = 1.1  # longer than any worker needs to read the pause from the row
LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True)
class Started:
    """One started job on its way through a worker."""

    vendor: Vendor
    entry: Entry
    job: Job
    permit_from: float  # monotonic seconds
    probe: str = ""


@dataclass(frozen=True)
class Ended:
    """What came of it; None for an answer says that the vendor was not called."""

    started: Started
    answer: Done | Accepted | VendorError | None


class StoreAwayError(Exception):
    """The store does not answer; the batch is to be recorded later."""


class Recorder(Thread):
    """Records what is put into `ended`, for as long as it takes."""

    def __init__(self, on_settled: Callable[[list[Entry]], None]) -> None:
        super().__init__(name="recorder", daemon=True)
        self.ended: SimpleQueue[Ended | None] = SimpleQueue()
        self.store_is_away = False
        self._on_settled = on_settled

    def run(self) -> None:
        while batch := self._next_batch():
            self.record(batch)

    def finish(self, seconds: float) -> None:
        """Record what is there and end; gives up after `seconds`."""
        self.ended.put(None)
        self.join(seconds)

    def record(self, batch: Sequence[Ended]) -> None:
        standings = self._report(batch)
        self._pause(batch, standings)
        moves = [_move(ended, standings[ended.started.vendor.slug], datetime.now(UTC)) for ended in batch]
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

    def _report(self, batch: Sequence[Ended]) -> dict[str, Standing]:
        return {vendor.slug: self._standing(vendor, ended) for vendor, ended in _by_vendor(batch)}

    def _standing(self, vendor: Vendor, batch: Sequence[Ended]) -> Standing:
        reports = [Report(breaker.outcome(ended.answer), ended.started.probe, ended.started.job.pk) for ended in batch]
        try:
            return breaker.report(vendor, reports)
        except redis.RedisError:
            return Standing()

    def _pause(self, batch: Sequence[Ended], standings: dict[str, Standing]) -> None:
        for vendor, of_vendor in _by_vendor(batch):
            waits = [ended.answer.retry_after for ended in of_vendor if isinstance(ended.answer, VendorError)]
            longest = max((wait for wait in waits if wait), default=None)
            if longest:
                self._pause_for(vendor, longest)
            if standings[vendor.slug].denied_jobs >= DENIED_JOBS and not vendor.paused:
                self._pause_for_good(vendor)

    def _pause_for(self, vendor: Vendor, wait: timedelta) -> None:
        until = datetime.now(UTC) + wait
        try:
            limiter.hold(vendor.slug, min(wait.total_seconds(), FRESH_PAUSE_SECONDS))
            if pauses.pause_until(vendor.slug, until, "The vendor asked us to slow down."):
                log.warning("vendor %s is paused until %s: it asked us to slow down", vendor, f"{until:%H:%M:%S} UTC")
        except (redis.RedisError, DatabaseError) as error:
            log.warning("vendor %s could not be paused: %s", vendor, type(error).__name__)

    def _pause_for_good(self, vendor: Vendor) -> None:
        reason = f"It denied {DENIED_JOBS} jobs in a row: check its credentials, then resume it."
        try:
            limiter.hold(vendor.slug, FRESH_PAUSE_SECONDS)
            if pauses.pause(vendor.slug, reason):
                log.error("vendor %s is paused until an operator resumes it: %s", vendor, reason)
        except (redis.RedisError, DatabaseError) as error:
            log.warning("vendor %s could not be paused: %s", vendor, type(error).__name__)

    def _apply(self, moves: list[Move]) -> list[bool]:
        pause_seconds = 0.1
        while True:
            try:
                happened = _apply_whole_or_singly(moves)
            except StoreAwayError as away:
                if not self.store_is_away:
                    log.error("the store does not answer (%s); %d answers are kept until it does", away, len(moves))
                self.store_is_away = True
                close_old_connections()
                time.sleep(pause_seconds)
                pause_seconds = min(LONGEST_PAUSE_SECONDS, 2 * pause_seconds)
            else:
                self.store_is_away = False
                return happened

    def _settle(self, batch: Sequence[Ended], moves: Sequence[Move], happened: Sequence[bool]) -> None:
        settlements: dict[str, list[Settlement]] = {}
        for ended, move, yes in zip(batch, moves, happened, strict=True):
            settlements.setdefault(ended.started.vendor.slug, []).append(_settlement(ended, move, yes))
            _tell(ended, move, yes)
        for vendor, of_vendor in settlements.items():
            try:
                stream.settle(vendor, of_vendor)
            except redis.RedisError:
                log.warning("Redis does not answer; %d entries of %s are acknowledged later", len(of_vendor), vendor)
        self._on_settled([ended.started.entry for ended in batch])


def _by_vendor(batch: Sequence[Ended]) -> list[tuple[Vendor, list[Ended]]]:
    in_order = sorted(batch, key=lambda ended: ended.started.vendor.slug)
    groups = [list(group) for _, group in groupby(in_order, key=lambda ended: ended.started.vendor.slug)]
    return [(group[0].started.vendor, group) for group in groups]


def _move(ended: Ended, standing: Standing, now: datetime) -> Move:
    job, vendor = ended.started.job, ended.started.vendor
    match ended.answer:
        case None:
            return lifecycle.hand_back(job, now)
        case Done(result):
            return lifecycle.complete(job, result, now)
        case Accepted():
            return lifecycle.wait(job, deadline_at=now + timedelta(seconds=vendor.callback_timeout_seconds), now=now)
        case VendorError() as error:
            return _after_error(job, vendor, error, standing, now)


def _after_error(job: Job, vendor: Vendor, error: VendorError, standing: Standing, now: datetime) -> Move:
    decision = retry.decide(error, failures=job.failures, vendor=vendor, standing=standing, chance=random.random())
    match decision:
        case retry.GiveUp(code, message):
            return lifecycle.fail(job, code, message, now)
        case retry.Again(counts, delay_seconds):
            not_before = now + timedelta(seconds=delay_seconds) if delay_seconds else None
            return lifecycle.queue_again(job, error.code, error.message, counts=counts, not_before=not_before, now=now)


def _apply_whole_or_singly(moves: list[Move]) -> list[bool]:
    try:
        return _apply_to_store(moves)
    except StoreAwayError:
        raise
    except Exception:
        log.exception("a batch of %d moves was refused by the store; each is tried on its own", len(moves))
        return [_apply_single(move) for move in moves]


def _apply_single(move: Move) -> bool:
    try:
        return _apply_to_store([move])[0]
    except StoreAwayError:
        raise
    except Exception as error:
        return _apply_to_store([lifecycle.not_storable(move, type(error).__name__, datetime.now(UTC))])[0]


def _apply_to_store(moves: list[Move]) -> list[bool]:
    try:
        return lifecycle.apply(moves)
    except (DataError, IntegrityError):
        raise
    except (DatabaseError, InterfaceError) as error:
        raise StoreAwayError(type(error).__name__) from error


def _settlement(ended: Ended, move: Move, happened: bool) -> Settlement:
    entry, refunds = ended.started.entry, ended.answer is None
    if happened:
        return move.settlement(entry, refunds=refunds)
    return Settlement(entry.job_id, entry, refunds=refunds)


def _tell(ended: Ended, move: Move, happened: bool) -> None:
    """Log and count what an operator would want to know of; a job that went well is no news."""
    vendor, job = ended.started.vendor, ended.started.job
    if not happened:
        lifecycle.keep_attempt(move)
        log.info("job %s of %s had moved on before attempt %d was recorded", job.pk, vendor, job.attempt)
    elif move.to == Status.FAILED:
        log.warning("job %s of %s failed: %s", job.pk, vendor, move.changes["error_message"])
        counts.count("failed", vendor.slug)
    elif isinstance(ended.answer, VendorError):
        log.info("job %s of %s is tried again: %s", job.pk, vendor, ended.answer.message)
        counts.count("tried_again", vendor.slug)
