"""Pauses, kept on the vendor's row: those that vendors bring upon themselves, and those of
operators, which overrule them.
"""

from datetime import datetime

from django.db.models import Q
from django.utils import timezone

from vendors.catalogue import catalogue
from vendors.models import Vendor


def pause_until(slug: str, until: datetime, reason: str, by: str = "") -> bool:
    """Pause a vendor until a time; `by` names the operator. False where it is paused for longer
    already.
    """
    pause = {"paused_until": until, "pause_reason": reason[:200], "paused_by": by[:150]}
    now, running = timezone.now(), Vendor.objects.filter(slug=slug, paused=False)
    changed = (
        running.filter(Q(paused_until=None) | Q(paused_until__lte=now))
        .filter(_shorter(until))
        .update(**pause, paused_at=now)
    )
    # A pause that is made longer goes on since it began.
    changed = changed or running.filter(_shorter(until)).update(**pause)
    catalogue.forget()
    return changed == 1


def _shorter(until: datetime) -> Q:
    return Q(paused_until=None) | Q(paused_until__lt=until)


def pause(slug: str, reason: str, by: str = "") -> bool:
    """Pause a vendor until an operator resumes it. False where it is paused so already."""
    pause = {
        "paused": True,
        "pause_reason": reason[:200],
        "paused_at": timezone.now(),
        "paused_by": by[:150],
    }
    changed = Vendor.objects.filter(slug=slug, paused=False).update(**pause)
    catalogue.forget()
    return changed == 1


def resume(slug: str) -> bool:
    """Let a vendor be called again. False where there is no such vendor."""
    changed = Vendor.objects.filter(slug=slug).update(
        paused=False, paused_until=None, pause_reason="", paused_at=None, paused_by=""
    )
    catalogue.forget()
    return changed == 1
