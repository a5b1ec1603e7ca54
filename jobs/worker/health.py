"""What a group of answers says about the vendors' health: reported to their breakers, and turned
into pauses.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import redis

from jobs.queue import breaker, limiter
from jobs.queue.breaker import DENIED_JOBS, Report, Standing
from jobs.queue.clock import redis_clock
from jobs.queue.throttle import Throttle
from jobs.storage.store import STORE_ERRORS
from jobs.worker.execution import Execution
from vendors import pauses
from vendors.base import VendorError
from vendors.models import Vendor

log = logging.getLogger(__name__)

MAX_RESET = timedelta(days=32)  # a month's quota, with a day to spare


class Health:
    """Remembers which breakers are open, so that a change is logged once."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    def report(self, executions: Sequence[Execution]) -> None:
        """Report to the breakers, set each execution's standing, and pause vendors."""
        by_vendor: dict[str, list[Execution]] = defaultdict(list)
        for execution in executions:
            by_vendor[execution.vendor.slug].append(execution)
        for executions in by_vendor.values():
            vendor = executions[0].vendor
            standings = self._report(vendor, executions)
            for execution, standing in zip(executions, standings, strict=True):
                execution.standing = standing
            _pause_if_asked(vendor, executions)

    def _report(self, vendor: Vendor, executions: Sequence[Execution]) -> list[Standing]:
        try:
            standings = breaker.report(vendor, [_report_of(one) for one in executions])
        except redis.RedisError:
            return [Standing(in_outage=True)] * len(executions)
        self._log_change(vendor.slug, standings[-1])
        return standings

    def _log_change(self, slug: str, standing: Standing) -> None:
        if standing.is_open and slug not in self._open:
            log.warning("vendor %s seems to be down; one job at a time probes it", slug)
            self._open.add(slug)
        elif not standing.is_open and slug in self._open:
            log.info("vendor %s answers again", slug)
            self._open.discard(slug)


def _report_of(execution: Execution) -> Report:
    job, answer = execution.job, execution.answer
    started_us = limiter.microseconds(job.started_at) if job.started_at else 0
    code = answer.code if isinstance(answer, VendorError) else ""
    outcome = breaker.outcome(answer)
    return Report(outcome, execution.probe, job.pk, started_us, job.failures, code)


def _pause_if_asked(vendor: Vendor, executions: Sequence[Execution]) -> None:
    errors = [one.answer for one in executions if isinstance(one.answer, VendorError)]
    unpaid = [error for error in errors if error.code == "no_credits"]
    waits = [error.retry_after for error in errors if error.retry_after and error not in unpaid]
    standing = executions[-1].standing
    if waits:
        _pause_for(vendor, max(waits), pauses.SLOW_DOWN)
    if standing.throttle and standing.throttle.is_new:
        _pause_throttled(vendor, standing.throttle)
    if standing.denied_jobs >= DENIED_JOBS:
        denied = [one for one in executions if breaker.outcome(one.answer) == "denied"]
        if denied:
            _pause_until_resumed(vendor, pauses.DENIED, _called_at(denied))
    if unpaid:
        called_at = _called_at([one for one in executions if one.answer in unpaid])
        _pause_unpaid(vendor, unpaid[-1].retry_after, called_at)


def _called_at(executions: Sequence[Execution]) -> datetime | None:
    """Return when the last of these calls started."""
    return max((one.job.started_at for one in executions if one.job.started_at), default=None)


def _pause_for(
    vendor: Vendor, wait: timedelta, reason: str, called_at: datetime | None = None
) -> None:
    now = redis_clock.now()
    _pause_now(vendor, min(wait.total_seconds(), limiter.READ_PAUSE_SECONDS))
    _write_pause(vendor, now + wait, reason, now, called_at=called_at)


def _pause_throttled(vendor: Vendor, throttle: Throttle) -> None:
    """Write the pause into the row. The breaker holds the vendor until it is read."""
    until, now = throttle.until, throttle.now
    _write_pause(vendor, until, pauses.THROTTLED, now, since=throttle.since)


def _pause_unpaid(vendor: Vendor, resets_in: timedelta | None, called_at: datetime | None) -> None:
    if resets_in:
        wait = min(resets_in, MAX_RESET)
        _pause_for(vendor, wait, pauses.UNPAID_UNTIL_RESET, called_at)
    else:
        _pause_until_resumed(vendor, pauses.UNPAID, called_at)


def _write_pause(
    vendor: Vendor,
    until: datetime,
    reason: str,
    now: datetime,
    *,
    since: datetime | None = None,
    called_at: datetime | None = None,
) -> None:
    try:
        if pauses.pause_until(
            vendor.slug, until, reason, now=now, since=since, called_at=called_at
        ):
            time = f"{until:%Y-%m-%d %H:%M:%S} UTC"
            log.warning("vendor %s is paused until %s: %s", vendor, time, reason)
    except STORE_ERRORS as error:
        log.warning("vendor %s could not be paused: %s", vendor, type(error).__name__)


def _pause_until_resumed(vendor: Vendor, reason: str, called_at: datetime | None) -> None:
    _pause_now(vendor, limiter.READ_PAUSE_SECONDS)
    try:
        if pauses.pause(vendor.slug, reason, called_at=called_at):
            log.error("vendor %s is paused until an operator resumes it: %s", vendor, reason)
    except STORE_ERRORS as error:
        log.warning("vendor %s could not be paused: %s", vendor, type(error).__name__)


def _pause_now(vendor: Vendor, seconds: float) -> None:
    """Pause all workers at once, until each has read the pause from the row."""
    with suppress(redis.RedisError):  # without Redis no call starts
        limiter.pause(vendor.slug, seconds)
