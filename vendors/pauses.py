"""Pauses, stored in the vendor's row.

A pause with an end is set when the vendor throttles us, or by an operator. A pause without an end
overrides it and lasts until an operator resumes the vendor.
"""

from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from vendors.catalogue import catalogue
from vendors.models import Vendor

MAX_REASON_LENGTH = 200
MAX_NAME_LENGTH = 150


def pause_until(slug: str, until: datetime, reason: str, by: str = "", *, now: datetime) -> bool:
    """Pause a vendor until a time. Returns False if it is already paused for longer.

    `by` is the operator's name; empty if the pause is automatic. `now` is by the clock that workers
    compare pauses with.
    """
    pause = {"paused_until": until, **_reason(reason, by)}
    running = Vendor.objects.filter(slug=slug, paused=False)
    has_ended = Q(paused_until=None) | Q(paused_until__lte=now)
    ends_earlier = Q(paused_until=None) | Q(paused_until__lt=until)
    changed = running.filter(has_ended).filter(ends_earlier).update(**pause, paused_at=now)
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
    changed = Vendor.objects.filter(slug=slug).update(
        paused=False, paused_until=None, pause_reason="", paused_at=None, paused_by=""
    )
    catalogue.forget()
    return changed == 1


def _reason(reason: str, by: str) -> dict[str, str]:
    return {"pause_reason": reason[:MAX_REASON_LENGTH], "paused_by": by[:MAX_NAME_LENGTH]}
