"""Pauses the vendors of a credential when none of its keys is left for calls, and resumes them when
one is: what pausing and resuming a key does too, unless it was interrupted, the definition has
changed since, or the other keys are not set where the workers run.
"""

from collections import defaultdict

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
        if _reasons(credential) or any(map(_is_paused_for_keys, users[slug])):
            _pause_or_resume(credential)
    return 0


def _is_paused_for_keys(vendor: Vendor) -> bool:
    return not vendor.paused_by and vendor.pause_reason.startswith(pauses.NONE_USABLE)


def _pause_or_resume(credential: Credential) -> None:
    now, lacking = redis_clock.now(), _lacking(credential)
    pauses.keys.resume_vendors(credential.slug, _reasons(credential), now=now, lacking=lacking)
    pause_users(credential.slug, lacking=lacking)


def _reasons(credential: Credential) -> set[str]:
    """Return for which reasons its keys are paused. A key that was removed keeps its row."""
    now, names = redis_clock.now(), credential.key_names
    rows = (credential.states[name] for name in names if name in credential.states)
    return {row.pause_reason for row in rows if row.is_paused(now)}


def _lacking(credential: Credential) -> set[str]:
    """Return the keys that no live worker has."""
    found = everywhere(reports(commands()))
    return {name for name in credential.key_names if f"{credential.slug}/{name}" in found}
