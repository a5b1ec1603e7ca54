"""Pauses a vendor whose callback says that its account has no credits left."""

import logging
from contextlib import suppress
from datetime import datetime, timedelta

import redis

from jobs.queue import limiter
from jobs.storage.store import STORE_ERRORS
from vendors import pauses

log = logging.getLogger(__name__)

PAUSE_KEY_SECONDS = 1.1  # longer than any worker takes to read the pause from the row
UNPAID = "A callback says that it asks for payment: add credit to its account, then resume it."


def pause_unpaid(slug: str, wait: timedelta | None, now: datetime) -> None:
    """Pause the vendor for as long as it says, else until an operator resumes it."""
    with suppress(redis.RedisError):  # without Redis no call starts
        limiter.pause(slug, PAUSE_KEY_SECONDS)
    try:
        if wait:
            is_new = pauses.pause_until(slug, now + wait, UNPAID, now=now)
        else:
            is_new = pauses.pause(slug, UNPAID)
    except STORE_ERRORS as error:
        log.warning("vendor %s could not be paused: %s", slug, type(error).__name__)
        return
    if is_new:
        log.error("vendor %s is paused: %s", slug, UNPAID)
