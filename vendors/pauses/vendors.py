"""Pauses of vendors."""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import QuerySet

from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.pauses import keys
from vendors.pauses.terms import (
    ENDED_BY_CAUSE,
    RUNNING,
    begin,
    begin_until,
    not_resumed_since,
    reasons_of,
)


def pause_until(
    slug: str,
    until: datetime,
    reason: str,
    by: str = "",
    *,
    now: datetime,
    since: datetime | None = None,
    called_at: datetime | None = None,
) -> bool:
    """Pause a vendor until a time. Returns False if it is already paused for longer.

    `by` is the operator's name; empty if the pause is automatic. `now` is by the clock that workers
    compare pauses with. `since`: when what it is paused for began, if earlier. `called_at`: as for
    `pause`.
    """
    _give_way(slug, called_at)
    running = _running(slug, called_at)
    changed = begin_until(running, until, reason, by, now=now, since=since or now)
    catalogue.forget()
    return changed


def pause(slug: str, reason: str, by: str = "", *, called_at: datetime | None = None) -> bool:
    """Pause a vendor until an operator resumes it. Returns False if it already is.

    `called_at`: when the call started, by Redis' clock, whose answer is the reason. If the vendor
    was resumed since, the answer is out of date and pauses nothing.
    """
    _give_way(slug, called_at)
    changed = begin(_running(slug, called_at), reason, by)
    catalogue.forget()
    return changed


def resume(slug: str, *, now: datetime) -> bool:
    """End a vendor's pauses, and those that answers of vendors set for the keys of its credential.

    Returns False if there is no such vendor. `now` is by Redis' clock.
    """
    if credential := keys.credential_of(slug):
        keys.resume_automatic(credential, now=now)
    changed = Vendor.objects.filter(slug=slug).update(**RUNNING, resumed_at=now)
    catalogue.forget()
    return changed == 1


def resume_if_automatic(
    slug: str, outcomes: Iterable[str] = tuple(ENDED_BY_CAUSE), *, key: str = "", now: datetime
) -> bool:
    """End the vendor's pause if it is an automatic one for `outcomes`, auth or no_credits, and such
    pauses of its credential's keys, or of `key` alone. Returns whether there was one. `now` is by
    Redis' clock.

    An operator's pause stays, also one that begins meanwhile.
    """
    reasons = reasons_of(outcomes)
    credential = keys.credential_of(slug)
    if credential and keys.resume_automatic(credential, reasons, key=key, now=now):
        return True
    if credential and not keys.has_key_to_call_with(credential, now):
        return False
    automatic = Vendor.objects.filter(slug=slug, paused_by="", pause_reason__in=reasons)
    changed = automatic.update(**RUNNING, resumed_at=now)
    catalogue.forget()
    return changed == 1


def is_current(slug: str, called_at: datetime | None) -> bool:
    """Whether the answer to a call that started then still tells how the vendor is: not if it was
    resumed since.
    """
    if called_at is None:
        return True
    return Vendor.objects.filter(not_resumed_since(called_at), slug=slug).exists()


def _give_way(slug: str, called_at: datetime | None) -> None:
    """End a pause of calls alone, so that one begins that stops polls too. Its keys stay paused:
    the sweep pauses the vendor for them again, once the other pause has ended.
    """
    if keys.credential_of(slug):
        rows = Vendor.objects.filter(keys.ONLY_CALLS, not_resumed_since(called_at), slug=slug)
        rows.update(**RUNNING)


def _running(slug: str, called_at: datetime | None) -> QuerySet[Vendor]:
    return Vendor.objects.filter(not_resumed_since(called_at), slug=slug, paused=False)
