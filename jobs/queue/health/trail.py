"""Audit entries for what the service does by itself to a vendor, or to a key of its credential."""

from datetime import datetime, timedelta
from typing import Any

from audit.record import Actor, record

SERVICE = Actor("EnrichLabs")
# A shorter pause is how a vendor's limit is kept, not something that a person has to know of.
MIN_PAUSE = timedelta(minutes=1)
ACTIONS = {"vendor": "vendor.{}", "credential": "credential.key_{}"}


def note_pause(
    target: str, reason: str, until: datetime | None = None, *, key: str = "", now: datetime
) -> None:
    """Record that a target such as vendor:acme, or a `key` of a credential, is paused. Raises
    STORE_ERRORS.
    """
    if until and until - now < MIN_PAUSE:
        return
    changes: dict[str, list[Any]] = {"paused": [False, True]}
    if until:
        changes = {"paused_until": [None, until.isoformat(timespec="seconds")]}
    _note(target, "paused", changes, reason, key)


def note_resume(target: str, reason: str) -> None:
    """Record that the pause of a vendor has ended. Raises STORE_ERRORS."""
    _note(target, "resumed", {"paused": [True, False]}, reason)


def _note(
    target: str, what: str, changes: dict[str, list[Any]], reason: str, key: str = ""
) -> None:
    named: dict[str, list[Any]] = {"key": [None, key]} if key else {}
    action = ACTIONS[target.partition(":")[0]].format(what)
    record(SERVICE, action, target, named | changes, reason=reason)
