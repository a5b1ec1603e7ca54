"""Pauses, stored in the vendor's row.

A pause with an end is set when the vendor throttles us, or by an operator. A pause without an end
overrides it and lasts until an operator resumes the vendor.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from vendors.catalogue import catalogue
from vendors.models import Vendor

MAX_REASON_LENGTH = 200
MAX_NAME_LENGTH = 150

# Reasons of automatic pauses.
SLOW_DOWN = "The vendor asked us to slow down."
THROTTLED = "The vendor is rate limiting us without saying for how long; one job probes it then."
DENIED = "It denied 3 jobs in a row: check its credentials, then resume it."
UNPAID = "It asks for payment: add credit to its account, then resume it."
UNPAID_UNTIL_RESET = "It asks for payment. As it says, its account has credit again by then."
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
) -> bool:
    """Pause a vendor until a time. Returns False if it is already paused for longer.

    `by` is the operator's name; empty if the pause is automatic. `now` is by the clock that workers
    compare pauses with. `since`: when what it is paused for began, if earlier.
    """
    pause = {"paused_until": until, **_reason(reason, by)}
    running = Vendor.objects.filter(slug=slug, paused=False)
    has_ended = Q(paused_until=None) | Q(paused_until__lte=now)
    ends_earlier = Q(paused_until=None) | Q(paused_until__lt=until)
    changed = running.filter(has_ended).filter(ends_earlier).update(**pause, paused_at=since or now)
    if not changed:  # an extended pause keeps its paused_at
        changed = running.filter(ends_earlier).update(**pause)
    catalogue.forget()
    return changed == 1


def pause(slug: str, reason: str, by: str = "") -> bool:
    """Pause a vendor until an operator resumes it. Returns False if it already is."""
    running = Vendor.objects.filter(slug=slug, paused=False)
    changed = running.update(paused=True, paused_at=timezone.now(), **_reason(reason, by))
    catalogue.forget()
    return changed == 1


def resume(slug: str) -> bool:
    """End a vendor's pauses. Returns False if there is no such vendor."""
    changed = Vendor.objects.filter(slug=slug).update(**RUNNING)
    catalogue.forget()
    return changed == 1


def resume_if_automatic(slug: str, outcomes: Iterable[str] = tuple(ENDED_BY_CAUSE)) -> bool:
    """End the vendor's pause if it is an automatic one for `outcomes`, auth or no_credits. Returns
    whether there was one.

    An operator's pause stays, also one that begins meanwhile.
    """
    reasons = [reason for outcome in outcomes for reason in ENDED_BY_CAUSE[outcome]]
    changed = Vendor.objects.filter(slug=slug, paused_by="", pause_reason__in=reasons).update(
        **RUNNING
    )
    catalogue.forget()
    return changed == 1


def _reason(reason: str, by: str) -> dict[str, str]:
    return {"pause_reason": reason[:MAX_REASON_LENGTH], "paused_by": by[:MAX_NAME_LENGTH]}
