"""How the console speaks of bulk actions."""

from collections.abc import Mapping

from jobs.bulk.kinds import KINDS, choice_of
from jobs.choice import ChoiceError
from jobs.models import BulkAction, BulkState

VERBS = {"retry": "retries", "cancel": "cancels"}
# Why a job was left out, by its key in BulkAction.skipped: an own one, or the job's status then.
REASONS = {
    "outcome_unknown": "it is unknown whether the vendor did the work (outcome_unknown)",
    "no_vendor": "their vendor no longer exists",
    "processing": "they were being called",
    "queued": "they were queued again meanwhile",
    "waiting": "they were called meanwhile",
    "complete": "they were completed meanwhile",
    "failed": "they failed meanwhile",
    "cancelled": "they were cancelled meanwhile",
    "pruned": "they were pruned meanwhile",
}


def title(action: BulkAction) -> str:
    """Return, for example, `Retry failed jobs of acme with the error timeout`."""
    return f"{action.kind.capitalize()} {in_words(action)}"


def in_words(action: BulkAction) -> str:
    try:
        return choice_of(action).in_words()
    except ChoiceError:  # stored by another release
        return f"jobs of {action.vendor}"


def state(action: BulkAction) -> tuple[str, str]:
    """Return the word for its state, and the badge's kind."""
    if action.state == BulkState.CANCELLED and not action.finished_at:
        return "cancelling", "cancelled"
    if action.state == BulkState.RUNNING and action.held_by:
        return "held", "paused"
    kinds = {BulkState.RUNNING: "processing", BulkState.DONE: "complete"}
    return str(action.state), str(kinds.get(BulkState(action.state), action.state))


def done(action: BulkAction) -> str:
    return KINDS[action.kind].done


def reasons(skipped: Mapping[str, int]) -> list[tuple[int, str]]:
    """Return the numbers of jobs that were left out, each with why."""
    return sorted(
        ((count, REASONS.get(key, key)) for key, count in skipped.items() if count), reverse=True
    )
