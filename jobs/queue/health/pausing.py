"""Pauses a vendor, or the key that it was called with, because of what it answered: in Redis at
once, and in the row.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Protocol

import redis

from jobs.queue import limiter
from jobs.queue.clock import redis_clock
from jobs.queue.health.throttle import Throttle
from jobs.queue.health.trail import note_pause
from jobs.storage.store import STORE_ERRORS
from vendors import pauses
from vendors.http.waits import MAX_CREDITS_WAIT
from vendors.models import Credential, Vendor
from vendors.pauses import keys

log = logging.getLogger(__name__)

UTC_TIME = "%Y-%m-%d %H:%M:%S"


class Paused(Protocol):
    """What is paused: a vendor, or a key of its credential."""

    def __str__(self) -> str: ...
    def stop(self, seconds: float) -> None: ...
    def pause(self, reason: str, called_at: datetime | None) -> bool: ...
    def pause_until(self, until: datetime, reason: str, **times: Any) -> bool: ...
    def pause_users(self, called_at: datetime | None) -> None: ...
    @property
    def target(self) -> str: ...  # as the audit trail names it
    @property
    def key(self) -> str: ...  # of a credential; '' for a vendor


class PausedVendor:
    key = ""

    def __init__(self, vendor: Vendor) -> None:
        self._slug = vendor.slug
        self.target = f"vendor:{vendor.slug}"

    def __str__(self) -> str:
        return f"vendor {self._slug}"

    def stop(self, seconds: float) -> None:
        limiter.pause(self._slug, seconds)

    def pause(self, reason: str, called_at: datetime | None) -> bool:
        return pauses.pause(self._slug, reason, called_at=called_at)

    def pause_until(self, until: datetime, reason: str, **times: Any) -> bool:
        return pauses.pause_until(self._slug, until, reason, **times)

    def pause_users(self, called_at: datetime | None) -> None:
        """Nothing is paused with a vendor."""


class PausedKey:
    """Pausing the last key that calls could be made with pauses all vendors of the credential."""

    def __init__(self, vendor: Vendor, credential: Credential, key: str) -> None:
        self._vendor, self._credential, self.key = vendor.slug, credential.slug, key
        self.target = f"credential:{credential.slug}"

    def __str__(self) -> str:
        return f"key {self.key} of credential {self._credential}"

    def stop(self, seconds: float) -> None:
        limiter.pause_key(self._credential, self.key, seconds)

    def pause(self, reason: str, called_at: datetime | None) -> bool:
        if not pauses.is_current(self._vendor, called_at):
            return False
        where, now = (self._credential, self.key), redis_clock.now()
        return keys.pause(*where, reason, now=now, called_at=called_at)

    def pause_until(
        self, until: datetime, reason: str, *, called_at: datetime | None = None, **times: Any
    ) -> bool:
        if not pauses.is_current(self._vendor, called_at):
            return False
        where = (self._credential, self.key)
        return keys.pause_until(*where, until, reason, called_at=called_at, **times)

    def pause_users(self, called_at: datetime | None) -> None:
        """Pause the vendors that no key is left for."""
        pause_users(self._credential, called_at=called_at)


def paused_of(vendor: Vendor, key: str) -> Paused:
    """Return what a pause is about: the vendor or, if a call is made with a key, that key."""
    if key and vendor.credential:
        return PausedKey(vendor, vendor.credential, key)
    return PausedVendor(vendor)


def pause_for(
    what: Paused, wait: timedelta, reason: str, *, called_at: datetime | None = None
) -> None:
    """Pause for as long as the vendor asks. `called_at`: as for `pauses.pause`."""
    now = redis_clock.now()
    _stop(what, min(wait.total_seconds(), limiter.READ_PAUSE_SECONDS))
    _write_until(what, now + wait, reason, now=now, called_at=called_at)


def pause_throttled(vendor: Vendor, throttle: Throttle) -> None:
    """Write the pause into the row. The breaker holds the vendor until it is read."""
    times = {"now": throttle.now, "since": throttle.since}
    _write_until(PausedVendor(vendor), throttle.until, pauses.THROTTLED, **times)


def pause_unpaid(
    what: Paused, resets_in: timedelta | None, *, called_at: datetime | None = None
) -> None:
    """Pause what has no credits left until it has some again, if the vendor says when."""
    if resets_in:
        wait = min(resets_in, MAX_CREDITS_WAIT)
        pause_for(what, wait, pauses.UNPAID_UNTIL_RESET, called_at=called_at)
    else:
        pause_until_resumed(what, pauses.UNPAID, called_at=called_at)


def pause_until_resumed(what: Paused, reason: str, *, called_at: datetime | None = None) -> None:
    _stop(what, limiter.READ_PAUSE_SECONDS)
    with _store_may_fail(what):
        if what.pause(reason, called_at):
            log.error("%s is paused until an operator resumes it: %s", what, reason)
            note_pause(what.target, reason, key=what.key, now=redis_clock.now())
            what.pause_users(called_at)


def pause_users(credential: str, **options: Any) -> None:
    """Pause the vendors that use the credential if no key is left for calls, as
    `vendors.pauses.keys.pause_vendors` does. Raises STORE_ERRORS.
    """
    slugs = keys.pause_vendors(credential, now=redis_clock.now(), **options)
    for vendor in Vendor.objects.filter(slug__in=slugs) if slugs else ():
        why = f"no key of credential {credential} is left"
        reason = vendor.pause_reason.removeprefix(pauses.NONE_USABLE)
        if vendor.paused:
            log.error(
                "vendor %s is paused until an operator resumes it: %s. %s", vendor, why, reason
            )
        elif vendor.paused_until:
            until = f"{vendor.paused_until:{UTC_TIME}}"
            log.warning("vendor %s is paused until %s UTC: %s. %s", vendor, until, why, reason)
        ends = None if vendor.paused else vendor.paused_until
        note_pause(f"vendor:{vendor}", f"{why}. {reason}", ends, now=redis_clock.now())


def _stop(what: Paused, seconds: float) -> None:
    """Stop all workers at once, until each has read the pause from the row."""
    with suppress(redis.RedisError):  # without Redis no call starts
        what.stop(seconds)


def _write_until(
    what: Paused,
    until: datetime,
    reason: str,
    *,
    called_at: datetime | None = None,
    **times: Any,
) -> None:
    with _store_may_fail(what):
        if what.pause_until(until, reason, called_at=called_at, **times):
            log.warning("%s is paused until %s UTC: %s", what, f"{until:{UTC_TIME}}", reason)
            note_pause(what.target, reason, until, key=what.key, now=redis_clock.now())
            what.pause_users(called_at)


@contextmanager
def _store_may_fail(what: Paused) -> Iterator[None]:
    """A store that fails must not keep an answer."""
    try:
        yield
    except STORE_ERRORS as error:
        log.warning("%s could not be paused: %s", what, type(error).__name__)
