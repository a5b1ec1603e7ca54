"""What people do with bulk actions: start, pause, resume and cancel one."""

from typing import Any

from django.db.models import QuerySet

from audit.models import Entry
from audit.record import Actor, record
from jobs.models import BulkAction, BulkState
from jobs.queue.clock import redis_clock
from jobs.storage.store import writing

MAX_OPEN = 500  # more are looked at once some of these have ended


def unfinished() -> "QuerySet[BulkAction]":
    """Return the actions that have not ended, oldest first: running, paused, or cancelled a moment
    ago.
    """
    return BulkAction.objects.filter(finished_at=None).order_by("pk")


def running() -> list[BulkAction]:
    """Return the actions under way, and the paused ones, oldest first."""
    states = (BulkState.RUNNING, BulkState.PAUSED)
    return [each for each in unfinished()[:MAX_OPEN] if each.state in states]


def unfinished_of(vendor: str) -> BulkAction | None:
    """Return the oldest unfinished action of a vendor's jobs. There is one at a time: another one
    that was started at the same moment waits for it.
    """
    return unfinished().filter(vendor=vendor).first()


def start(actor: Actor, **fields: Any) -> BulkAction:
    """Start an action. `fields`: those of the model that people choose."""
    action = BulkAction(actor=actor.name[:150], started_at=redis_clock.now(), skipped={}, **fields)
    with writing():  # the entry first, so that no action is without one
        changes: dict[str, list[Any]] = {
            "kind": [None, action.kind],
            "vendor": [None, action.vendor],
            "jobs": [None, action.planned],
            "per_second": [None, action.per_second],
        }
        _note(actor, "bulk.started", action, changes, reason=action.reason)
        action.save(force_insert=True)
    return action


def pause(actor: Actor, action: BulkAction) -> bool:
    """Returns False if it is not running."""
    return _turn(actor, action, "bulk.paused", (BulkState.RUNNING,), BulkState.PAUSED)


def resume(actor: Actor, action: BulkAction) -> bool:
    """Returns False if it is not paused."""
    return _turn(actor, action, "bulk.resumed", (BulkState.PAUSED,), BulkState.RUNNING)


def cancel(actor: Actor, action: BulkAction) -> bool:
    """Cancel it: what it has moved stays as it is. Returns False if it has ended."""
    open_states = (BulkState.RUNNING, BulkState.PAUSED)
    return _turn(actor, action, "bulk.cancelled", open_states, BulkState.CANCELLED)


def note_end(action: BulkAction) -> None:
    """Note in the audit trail that an action has done all, unless that stands there."""
    if Entry.objects.filter(target=f"bulk:{action.pk}", action="bulk.finished").exists():
        return
    changes = {"done": [0, action.done], "skipped": [0, sum(action.skipped.values())]}
    _note(Actor("EnrichLabs"), "bulk.finished", action, changes)


def _turn(
    actor: Actor, action: BulkAction, name: str, sources: tuple[BulkState, ...], to: BulkState
) -> bool:
    with writing():
        rows = BulkAction.objects.filter(pk=action.pk, state__in=sources, finished_at=None)
        happened = bool(rows.update(state=to, held_by="", per_minute=None))
        if happened:
            _note(actor, name, action, {"state": [action.state, to.value]})
    return happened


def _note(
    actor: Actor, name: str, action: BulkAction, changes: dict[str, list[Any]], reason: str = ""
) -> None:
    record(actor, name, f"bulk:{action.pk}", changes, reason=reason)
