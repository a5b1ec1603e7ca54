"""Pauses the vendors of a credential when none of its keys is left for calls, and resumes them when
one is: what pausing and resuming a key does too, unless it was interrupted, the definition has
changed since, or the other keys are not set where the workers run.
"""

from collections import defaultdict
from datetime import datetime

from jobs.queue.clock import redis_clock
from jobs.queue.health.pausing import pause_users
from jobs.queue.redis import commands
from jobs.recovery.unusable import everywhere, reports
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Credential, Vendor


def pause_or_resume_users() -> int:
    """Pause and resume vendors. Raises redis.RedisError and STORE_ERRORS."""
    users: dict[str, list[Vendor]] = defaultdict(list)
    credentials: dict[str, Credential] = {}
    for vendor in catalogue.all().values():
        if vendor.credential:
            users[vendor.credential.slug].append(vendor)
            credentials[vendor.credential.slug] = vendor.credential
    for slug, credential in credentials.items():
        now, names = redis_clock.now(), set(credential.key_names)
        paused = [row for row in credential.states.values() if row.is_paused(now)]
        # A key that was removed keeps its row.
        is_any_paused = any(row.name in names for row in paused)
        if is_any_paused or any(_is_paused_for_keys(vendor, now) for vendor in users[slug]):
            _pause_or_resume(credential, {row.pause_reason for row in paused})
    return 0


def _is_paused_for_keys(vendor: Vendor, now: datetime) -> bool:
    is_automatic = vendor.is_paused(now) and not vendor.paused_by
    reason = vendor.pause_reason
    return is_automatic and (reason.startswith(pauses.NONE_USABLE) or reason in pauses.OF_KEYS)


def _pause_or_resume(credential: Credential, reasons: set[str]) -> None:
    now, lacking = redis_clock.now(), _lacking(credential)
    pauses.keys.resume_vendors(credential.slug, reasons, now=now, lacking=lacking)
    pause_users(credential.slug, lacking=lacking)


def _lacking(credential: Credential) -> set[str]:
    """Return the keys that no live worker has."""
    found = everywhere(reports(commands()))
    return {name for name in credential.key_names if f"{credential.slug}/{name}" in found}
