"""How a pause begins and ends in a row, whether that of a vendor or of a key."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from vendors.models.pausable import DENIED_REASONS, UNPAID_REASONS

MAX_REASON_LENGTH = 200
MAX_NAME_LENGTH = 150

# By outcome, the reasons of pauses that end as soon as a check shows their cause to be gone.
ENDED_BY_CAUSE = {"auth": DENIED_REASONS, "no_credits": UNPAID_REASONS}

RUNNING = {
    "paused": False,
    "paused_until": None,
    "pause_reason": "",
    "paused_at": None,
    "paused_by": "",
}


def begin_until(
    running: QuerySet[Any], until: datetime, reason: str, by: str, *, now: datetime, since: datetime
) -> bool:
    """Pause the row until a time. Returns False if it is already paused for longer."""
    pause = {"paused_until": until, **_reason(reason, by)}
    has_ended = Q(paused_until=None) | Q(paused_until__lte=now)
    ends_earlier = Q(paused_until=None) | Q(paused_until__lt=until)
    changed = running.filter(has_ended).filter(ends_earlier).update(**pause, paused_at=since)
    if not changed:  # an extended pause keeps its paused_at
        changed = running.filter(ends_earlier).update(**pause)
    return changed == 1


def begin(running: QuerySet[Any], reason: str, by: str) -> bool:
    """Pause the row until it is resumed. Returns False if it already is."""
    changed = running.update(paused=True, paused_at=timezone.now(), **_reason(reason, by))
    return changed == 1


def not_resumed_since(called_at: datetime | None) -> Q:
    """Select the rows that were not resumed after a call started, whose answer is the reason."""
    return Q() if called_at is None else Q(resumed_at=None) | Q(resumed_at__lte=called_at)


def reasons_of(outcomes: Iterable[str]) -> list[str]:
    """Return the reasons of automatic pauses for these outcomes, auth or no_credits."""
    return [reason for outcome in outcomes for reason in ENDED_BY_CAUSE[outcome]]


def _reason(reason: str, by: str) -> dict[str, str]:
    return {"pause_reason": reason[:MAX_REASON_LENGTH], "paused_by": by[:MAX_NAME_LENGTH]}
