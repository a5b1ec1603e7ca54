"""Pauses a vendor because of what it answered: in Redis at once, and in its row."""

import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import redis

from jobs.queue import limiter
from jobs.queue.health.throttle import Throttle
from jobs.storage.store import STORE_ERRORS
from vendors import pauses
from vendors.http.waits import MAX_CREDITS_WAIT

log = logging.getLogger(__name__)


def pause_for(slug: str, wait: timedelta, reason: str, now: datetime) -> None:
    """Pause the vendor for as long as it asks."""
    _stop_calls(slug, min(wait.total_seconds(), limiter.READ_PAUSE_SECONDS))
    _write_until(slug, now + wait, reason, now)


def pause_throttled(slug: str, throttle: Throttle) -> None:
    """Write the pause into the row. The breaker holds the vendor until it is read."""
    _write_until(slug, throttle.until, pauses.THROTTLED, throttle.now, since=throttle.since)


def pause_unpaid(slug: str, resets_in: timedelta | None, now: datetime) -> None:
    """Pause a vendor whose account has no credits left until it has some again, if it says when."""
    if resets_in:
        pause_for(slug, min(resets_in, MAX_CREDITS_WAIT), pauses.UNPAID_UNTIL_RESET, now)
    else:
        pause_until_resumed(slug, pauses.UNPAID)


def pause_until_resumed(slug: str, reason: str) -> None:
    _stop_calls(slug, limiter.READ_PAUSE_SECONDS)
    if _write(slug, lambda: pauses.pause(slug, reason)):
        log.error("vendor %s is paused until an operator resumes it: %s", slug, reason)


def _stop_calls(slug: str, seconds: float) -> None:
    """Stop all workers at once, until each has read the pause from the row."""
    with suppress(redis.RedisError):  # without Redis no call starts
        limiter.pause(slug, seconds)


def _write_until(
    slug: str, until: datetime, reason: str, now: datetime, since: datetime | None = None
) -> None:
    if _write(slug, lambda: pauses.pause_until(slug, until, reason, now=now, since=since)):
        time = f"{until:%Y-%m-%d %H:%M:%S} UTC"
        log.warning("vendor %s is paused until %s: %s", slug, time, reason)


def _write(slug: str, pause: Callable[[], bool]) -> bool:
    """Return whether the vendor is newly paused. A store that fails must not keep an answer."""
    try:
        return pause()
    except STORE_ERRORS as error:
        log.warning("vendor %s could not be paused: %s", slug, type(error).__name__)
        return False
