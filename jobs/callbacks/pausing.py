"""Pauses a vendor whose callback says that its account has no credits left."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta

import redis

from jobs.queue import limiter
from jobs.storage.store import STORE_ERRORS
from vendors import pauses

log = logging.getLogger(__name__)

MAX_RESET = timedelta(days=32)  # a month's quota, with a day to spare


def pause_unpaid(slug: str, resets_in: timedelta | None, now: datetime) -> None:
    """Pause the vendor for as long as it says, else until it can be used again."""
    with suppress(redis.RedisError):  # without Redis no call starts
        limiter.pause(slug, limiter.READ_PAUSE_SECONDS)
    reason = pauses.UNPAID_UNTIL_RESET if resets_in else pauses.UNPAID
    try:
        if resets_in:
            is_new = pauses.pause_until(slug, now + min(resets_in, MAX_RESET), reason, now=now)
        else:
            is_new = pauses.pause(slug, reason)
    except STORE_ERRORS as error:
        log.warning("vendor %s could not be paused: %s", slug, type(error).__name__)
        return
    if is_new:
        log.error("vendor %s is paused after a callback: %s", slug, reason)
