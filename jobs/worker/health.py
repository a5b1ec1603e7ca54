"""What a group of answers says about the vendors' health: reported to their breakers, and turned
into pauses.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence

import redis

from jobs.queue import limiter
from jobs.queue.clock import redis_clock
from jobs.queue.health import breaker, pausing
from jobs.queue.health.breaker import DENIED_JOBS, Report, Standing
from jobs.worker.execution import Execution
from vendors import pauses
from vendors.base import VendorError
from vendors.models import Vendor

log = logging.getLogger(__name__)


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
    signal = breaker.signal_of(answer)
    return Report(signal, execution.probe, job.pk, started_us, job.failures, code)


def _pause_if_asked(vendor: Vendor, executions: Sequence[Execution]) -> None:
    errors = [one.answer for one in executions if isinstance(one.answer, VendorError)]
    unpaid = [error for error in errors if error.code == "no_credits"]
    waits = [error.retry_after for error in errors if error.retry_after and error not in unpaid]
    standing = executions[-1].standing
    if waits:
        pausing.pause_for(vendor.slug, max(waits), pauses.SLOW_DOWN, redis_clock.now())
    if standing.throttle and standing.throttle.is_new:
        pausing.pause_throttled(vendor.slug, standing.throttle)
    if standing.denied_jobs >= DENIED_JOBS and "denied" in map(breaker.signal_of, errors):
        pausing.pause_until_resumed(vendor.slug, pauses.DENIED)
    if unpaid:
        pausing.pause_unpaid(vendor.slug, unpaid[-1].retry_after, redis_clock.now())
