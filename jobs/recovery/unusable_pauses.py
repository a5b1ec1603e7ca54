"""Pauses vendors that no live worker can call, and resumes them when one can."""

import logging
from collections.abc import Iterable

from django.db.models import QuerySet

from jobs.queue.clock import redis_clock
from jobs.queue.health.trail import note_pause, note_resume
from jobs.queue.keys import HEARTBEATS, UNUSABLE
from jobs.queue.redis import commands
from jobs.recovery.unusable import everywhere, reports
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Vendor

log = logging.getLogger(__name__)

REASON = "No worker can call it: "  # begins the reason of these pauses, and of no others
REMEDY = (
    "Correct it where they run and, for a variable, restart them: the pause then ends by itself."
)


class UnusablePauses:
    """Pauses a vendor when two checks in a row find that no worker can call it.

    One check is not enough: after a restart of Redis, not all workers have sent a heartbeat yet.
    """

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def pause_or_resume(self) -> int:
        """Pause and resume vendors. Raises redis.RedisError and STORE_ERRORS."""
        vendors, texts, before = catalogue.all().values(), commands().hgetall(UNUSABLE), self._found
        self._found = {}
        if not texts and not any(map(has_our_pause, vendors)):
            return 0
        workers = reports(commands(), texts)
        self._found = everywhere(workers)
        for vendor in vendors:
            why = self._found.get(vendor.slug, "")
            if why and vendor.slug in before:
                _pause(vendor, why)
            elif workers and not why and has_our_pause(vendor):
                _resume(vendor)
        _drop_reports_of_dead(texts)
        return 0


def has_our_pause(vendor: Vendor) -> bool:
    """Whether the vendor is paused because no worker can call it."""
    return vendor.paused and not vendor.paused_by and vendor.pause_reason.startswith(REASON)


def _pause(vendor: Vendor, why: str) -> None:
    reason = f"{REASON}{why}"[: pauses.MAX_REASON_LENGTH - len(REMEDY) - 1] + f" {REMEDY}"
    if vendor.paused and not (has_our_pause(vendor) and vendor.pause_reason != reason):
        return
    if vendor.paused:
        changed = _our_pause(vendor).update(pause_reason=reason)
        catalogue.forget()
    else:
        changed = pauses.pause(vendor.slug, reason)
    if changed:
        log.error("vendor %s is paused: no worker can call it. %s", vendor, why)
        note_pause(f"vendor:{vendor}", reason, now=redis_clock.now())


def _resume(vendor: Vendor) -> None:
    if _our_pause(vendor).update(paused=False, pause_reason="", paused_at=None):
        log.info("vendor %s is resumed: a worker can call it", vendor)
        note_resume(f"vendor:{vendor}", "A worker can call it.")
    catalogue.forget()


def _our_pause(vendor: Vendor) -> QuerySet[Vendor]:
    """Return the row, unless its pause has changed since it was read: an operator's pause stays."""
    return Vendor.objects.filter(
        slug=vendor.slug, paused=True, paused_by="", pause_reason=vendor.pause_reason
    )


def _drop_reports_of_dead(workers: Iterable[str]) -> None:
    if gone := [worker for worker in workers if commands().zscore(HEARTBEATS, worker) is None]:
        commands().hdel(UNUSABLE, *gone)
