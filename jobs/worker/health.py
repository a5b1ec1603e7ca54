"""What a batch of answers says of the vendors' health: told to their breakers, and acted upon where
they ask for a pause.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import groupby

import redis

from jobs.queue import breaker, limiter
from jobs.queue.breaker import DENIED_JOBS, Report, Standing
from jobs.queue.clock import redis_clock
from jobs.queue.stream import Entry
from jobs.storage.store import STORE_ERRORS
from jobs.worker.execute import Ended
from vendors import pauses
from vendors.base import VendorError
from vendors.models import Vendor

log = logging.getLogger(__name__)

FRESH_PAUSE_SECONDS = 1.1  # longer than any worker needs to read the pause from the row


class Health:
    """Remembers whose breaker is open, so that it is told once."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    def report(self, batch: Sequence[Ended]) -> dict[Entry, Standing]:
        """Tell the breakers, pause whoever asks for it, and return how its vendor stands after each
        call.
        """
        standings: dict[Entry, Standing] = {}
        for vendor, of_vendor in _by_vendor(batch):
            each = self._report(vendor, of_vendor)
            self._pause(vendor, of_vendor, each[-1])
            standings.update(zip((ended.started.entry for ended in of_vendor), each, strict=True))
        return standings

    def _report(self, vendor: Vendor, batch: Sequence[Ended]) -> list[Standing]:
        try:
            standings = breaker.report(vendor, [_report_of(ended) for ended in batch])
        except redis.RedisError:
            return [Standing(in_outage=True)] * len(batch)
        self._tell_of_breaker(vendor.slug, standings[-1])
        return standings

    def _tell_of_breaker(self, vendor: str, standing: Standing) -> None:
        if standing.is_open and vendor not in self._open:
            log.warning(
                "vendor %s seems to be down: its jobs wait, and one at a time probes whether it is back",
                vendor,
            )
            self._open.add(vendor)
        elif not standing.is_open and vendor in self._open:
            log.info("vendor %s answers again", vendor)
            self._open.discard(vendor)

    def _pause(self, vendor: Vendor, batch: Sequence[Ended], standing: Standing) -> None:
        waits = [
            ended.answer.retry_after for ended in batch if isinstance(ended.answer, VendorError)
        ]
        longest = max((wait for wait in waits if wait), default=None)
        if longest:
            _pause_for(vendor, longest)
        if standing.denied_jobs >= DENIED_JOBS and any(
            breaker.outcome(ended.answer) == "denied" for ended in batch
        ):
            _pause_for_good(
                vendor,
                f"It denied {DENIED_JOBS} jobs in a row: check its credentials, then resume it.",
            )
        if any(
            isinstance(ended.answer, VendorError) and ended.answer.code == "payment_required"
            for ended in batch
        ):
            _pause_for_good(
                vendor, "It asks for payment: add credit to its account, then resume it."
            )


def _report_of(ended: Ended) -> Report:
    job = ended.started.job
    started_us = limiter.microseconds(job.started_at) if job.started_at else 0
    code = ended.answer.code if isinstance(ended.answer, VendorError) else ""
    return Report(
        breaker.outcome(ended.answer), ended.started.probe, job.pk, started_us, job.failures, code
    )


def _pause_for(vendor: Vendor, wait: timedelta) -> None:
    until = redis_clock.now() + wait
    _hold(vendor, min(wait.total_seconds(), FRESH_PAUSE_SECONDS))
    try:
        if pauses.pause_until(vendor.slug, until, "The vendor asked us to slow down."):
            log.warning(
                "vendor %s is paused until %s: it asked us to slow down",
                vendor,
                f"{until:%H:%M:%S} UTC",
            )
    except STORE_ERRORS as error:
        log.warning("vendor %s could not be paused: %s", vendor, type(error).__name__)


def _pause_for_good(vendor: Vendor, reason: str) -> None:
    _hold(vendor, FRESH_PAUSE_SECONDS)
    try:
        if pauses.pause(vendor.slug, reason):
            log.error("vendor %s is paused until an operator resumes it: %s", vendor, reason)
    except STORE_ERRORS as error:
        log.warning("vendor %s could not be paused: %s", vendor, type(error).__name__)


def _hold(vendor: Vendor, seconds: float) -> None:
    with suppress(
        redis.RedisError
    ):  # then nobody starts a call either, and meanwhile all read the row
        limiter.pause(vendor.slug, seconds)


def _by_vendor(batch: Sequence[Ended]) -> list[tuple[Vendor, list[Ended]]]:
    in_order = sorted(batch, key=lambda ended: ended.started.vendor.slug)
    groups = [
        list(group) for _, group in groupby(in_order, key=lambda ended: ended.started.vendor.slug)
    ]
    return [(group[0].started.vendor, group) for group in groups]
