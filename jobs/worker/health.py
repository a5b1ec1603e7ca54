"""What a group of answers says about the vendors' health: reported to their breakers, and turned
into pauses.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import redis

from jobs.queue import breaker, limiter
from jobs.queue.breaker import DENIED_JOBS, Report, Standing
from jobs.queue.clock import redis_clock
from jobs.storage.store import STORE_ERRORS
from jobs.worker.execution import Execution
from vendors import pauses
from vendors.base import VendorError
from vendors.models import Vendor

log = logging.getLogger(__name__)

PAUSE_KEY_SECONDS = 1.1  # longer than any worker takes to read the pause from the row
SLOW_DOWN = "The vendor asked us to slow down."
DENIED = f"It denied {DENIED_JOBS} jobs in a row: check its credentials, then resume it."
UNPAID = "It asks for payment: add credit to its account, then resume it."


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
    if waits := [error.retry_after for error in errors if error.retry_after]:
        _pause_for(vendor, max(waits))
    denied_jobs = executions[-1].standing.denied_jobs
    if denied_jobs >= DENIED_JOBS and "denied" in map(breaker.outcome, errors):
        _pause_until_resumed(vendor, DENIED)
    if any(error.code == "no_credits" for error in errors):
        _pause_until_resumed(vendor, UNPAID)


def _pause_for(vendor: Vendor, wait: timedelta) -> None:
    now = redis_clock.now()
    until = now + wait
    _pause_now(vendor, min(wait.total_seconds(), PAUSE_KEY_SECONDS))
    try:
        if pauses.pause_until(vendor.slug, until, SLOW_DOWN, now=now):
            time = f"{until:%H:%M:%S} UTC"
            log.warning("vendor %s is paused until %s: it asked us to slow down", vendor, time)
    except STORE_ERRORS as error:
        log.warning("vendor %s could not be paused: %s", vendor, type(error).__name__)


def _pause_until_resumed(vendor: Vendor, reason: str) -> None:
    _pause_now(vendor, PAUSE_KEY_SECONDS)
    try:
        if pauses.pause(vendor.slug, reason):
            log.error("vendor %s is paused until an operator resumes it: %s", vendor, reason)
    except STORE_ERRORS as error:
        log.warning("vendor %s could not be paused: %s", vendor, type(error).__name__)


def _pause_now(vendor: Vendor, seconds: float) -> None:
    """Pause all workers at once, until each has read the pause from the row."""
    with suppress(redis.RedisError):  # without Redis no call starts
        limiter.pause(vendor.slug, seconds)
