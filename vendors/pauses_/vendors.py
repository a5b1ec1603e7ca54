"""Pauses, stored in the vendor's row.

A pause with an end is set when the vendor throttles us, or by an operator. A pause without an end
overrides it and lasts until an operator resumes the vendor.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q, QuerySet
from django.utils import timezone

from vendors.catalogue import catalogue
from vendors.models import Vendor
from vendors.models.pausable import (
    DENIED,
    SLOW_DOWN,
    THROTTLED,
    UNPAID,
    UNPAID_UNTIL_RESET,
)

__all__ = ["DENIED", "SLOW_DOWN", "THROTTLED", "UNPAID", "UNPAID_UNTIL_RESET"]

MAX_REASON_LENGTH = 200
MAX_NAME_LENGTH = 150

# By outcome, the reasons of pauses that end as soon as a check shows their cause to be gone.
ENDED_BY_CAUSE = {"auth": (DENIED,), "no_credits": (UNPAID, UNPAID_UNTIL_RESET)}

RUNNING = {
    "paused": False,
    "paused_until": None,
    "pause_reason": "",
    "paused_at": None,
    "paused_by": "",
}


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
    pause = {"paused_until": until, **_reason(reason, by)}
    running = _running(slug, called_at)
    has_ended = Q(paused_until=None) | Q(paused_until__lte=now)
    ends_earlier = Q(paused_until=None) | Q(paused_until__lt=until)
    changed = running.filter(has_ended).filter(ends_earlier).update(**pause, paused_at=since or now)
    if not changed:  # an extended pause keeps its paused_at
        changed = running.filter(ends_earlier).update(**pause)
    catalogue.forget()
    return changed == 1


def pause(slug: str, reason: str, by: str = "", *, called_at: datetime | None = None) -> bool:
    """Pause a vendor until an operator resumes it. Returns False if it already is.

    `called_at`: when the call started, by Redis' clock, whose answer is the reason. If the vendor
    was resumed since, the answer is out of date and pauses nothing.
    """
    running = _running(slug, called_at)
    changed = running.update(paused=True, paused_at=timezone.now(), **_reason(reason, by))
    catalogue.forget()
    return changed == 1


def resume(slug: str, *, now: datetime) -> bool:
    """End a vendor's pauses. Returns False if there is no such vendor. `now` is by Redis' clock."""
    changed = Vendor.objects.filter(slug=slug).update(**RUNNING, resumed_at=now)
    catalogue.forget()
    return changed == 1


def resume_if_automatic(
    slug: str, outcomes: Iterable[str] = tuple(ENDED_BY_CAUSE), *, now: datetime
) -> bool:
    """End the vendor's pause if it is an automatic one for `outcomes`, auth or no_credits. Returns
    whether there was one. `now` is by Redis' clock.

    An operator's pause stays, also one that begins meanwhile.
    """
    reasons = [reason for outcome in outcomes for reason in ENDED_BY_CAUSE[outcome]]
    automatic = Vendor.objects.filter(slug=slug, paused_by="", pause_reason__in=reasons)
    changed = automatic.update(**RUNNING, resumed_at=now)
    catalogue.forget()
    return changed == 1


def _running(slug: str, called_at: datetime | None) -> QuerySet[Vendor]:
    vendors = Vendor.objects.filter(slug=slug, paused=False)
    if called_at is None:
        return vendors
    return vendors.filter(Q(resumed_at=None) | Q(resumed_at__lte=called_at))


def _reason(reason: str, by: str) -> dict[str, str]:
    return {"pause_reason": reason[:MAX_REASON_LENGTH], "paused_by": by[:MAX_NAME_LENGTH]}
