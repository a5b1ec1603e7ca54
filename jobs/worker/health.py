"""What a group of answers says about the vendors' health: reported to their breakers, and turned
into pauses.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from http import HTTPStatus

import redis

from jobs.queue import limiter
from jobs.queue.health import breaker, pausing
from jobs.queue.health.breaker import DENIED_JOBS, Report, Standing
from jobs.worker.execution import Execution
from vendors import pauses
from vendors.base import Outcome, VendorError
from vendors.credentials.grants import NoTokenIssuedError
from vendors.models import Vendor

log = logging.getLogger(__name__)

Failed = tuple[Execution, VendorError]


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
    key = _key_of(execution)
    return Report(signal, execution.probe, job.pk, started_us, job.failures, code, key)


def _key_of(execution: Execution) -> str:
    """Return the key of the vendor's credential that the call was made with; '' without one."""
    credential = execution.vendor.credential
    return credential.key_of(execution.entry.credential) if credential else ""


def _pause_if_asked(vendor: Vendor, executions: Sequence[Execution]) -> None:
    by_key: dict[str, list[Failed]] = defaultdict(list)
    for execution in executions:
        if isinstance(execution.answer, VendorError):
            by_key[_key_of(execution)].append((execution, execution.answer))
    for key, wait in _waits(vendor, by_key).items():
        pausing.pause_for(pausing.paused_of(vendor, key), wait, pauses.SLOW_DOWN)
    throttle = executions[-1].standing.throttle
    if throttle and throttle.is_new:
        pausing.pause_throttled(vendor, throttle)
    for key, failed in by_key.items():
        what = pausing.paused_of(vendor, key)
        if denied := [each for each in failed if _pauses_for_denial(*each)]:
            pausing.pause_until_resumed(what, _reason(denied), called_at=_called_at(denied))
        if unpaid := [each for each in failed if each[1].code == Outcome.NO_CREDITS]:
            resets_in = unpaid[-1][1].retry_after
            pausing.pause_unpaid(what, resets_in, called_at=_called_at(unpaid))


def _waits(vendor: Vendor, by_key: Mapping[str, Sequence[Failed]]) -> dict[str, timedelta]:
    """Return how long the vendor asks us to wait, by the key to pause, '' for the vendor: a key if
    it is rate limited and there are others.
    """
    found: dict[str, timedelta] = {}
    has_others = vendor.credential is not None and vendor.credential.has_others
    for key, failed in by_key.items():
        for _, error in failed:
            if error.retry_after and error.code != Outcome.NO_CREDITS:
                of = key if has_others and error.code == Outcome.RATE_LIMITED else ""
                found[of] = max(error.retry_after, found.get(of, timedelta()))
    return found


def _pauses_for_denial(execution: Execution, error: VendorError) -> bool:
    """Whether several jobs were denied in a row; or a poll, with the key that had its job accepted:
    the key was revoked.
    """
    if breaker.signal_of(error) != "denied":
        return False
    is_revoked = execution.poll and error.reply and error.reply.status == HTTPStatus.UNAUTHORIZED
    return execution.standing.denied_jobs >= DENIED_JOBS or bool(is_revoked and _key_of(execution))


def _reason(denied: Sequence[Failed]) -> str:
    """Return why to pause: the vendor's token server need not be the vendor's own."""
    is_token_missing = isinstance(denied[-1][1], NoTokenIssuedError)
    return pauses.NOT_ISSUED if is_token_missing else pauses.DENIED


def _called_at(failed: Sequence[Failed]) -> datetime | None:
    """Return when the last of these calls started."""
    return max((one.job.started_at for one, _ in failed if one.job.started_at), default=None)
