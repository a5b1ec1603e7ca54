"""Pauses that vendors bring upon themselves, kept on their row; an operator's word in the admin overrules them."""

from datetime import datetime

from django.db.models import Q

from vendors.catalogue import catalogue
from vendors.models import Vendor


def pause_until(slug: str, until: datetime, reason: str) -> bool:
    """Pause a vendor until a time. False where it is paused for longer already."""
    shorter = Q(paused_until=None) | Q(paused_until__lt=until)
    changed = Vendor.objects.filter(shorter, slug=slug, paused=False).update(paused_until=until, pause_reason=reason[:200])
    catalogue.forget()
    return changed == 1


def pause(slug: str, reason: str) -> bool:
    """Pause a vendor until an operator resumes it. False where it is paused already."""
    changed = Vendor.objects.filter(slug=slug, paused=False).update(paused=True, pause_reason=reason[:200])
    catalogue.forget()
    return changed == 1


def resume(slug: str) -> bool:
    """Let a vendor be called again. False where there is no such vendor."""
    changed = Vendor.objects.filter(slug=slug).update(paused=False, paused_until=None, pause_reason="")
    catalogue.forget()
    return changed == 1
