"""`manage.py vendor check`: what the free call found, and which pause it ends."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils import timezone

from jobs.admin import states
from jobs.management.vendor import text
from jobs.management.vendor.adding import try_command
from jobs.management.vendor.calling import restart_hint
from jobs.management.vendor.report import report
from jobs.management.vendor.variables import credential_variables
from jobs.worker.trial import Trial
from vendors import pauses
from vendors.base import Done, Outcome
from vendors.models import Vendor

ENDED = (Outcome.AUTH, Outcome.NO_CREDITS)
WORKS, ANSWERS = "The credential of vendor {vendor} works.", "Vendor {vendor} answers."
RESUMED = "The vendor was paused automatically. It works again, so the pause has ended."
OTHER_KEY = (
    "Workers that were started with another key still use that one: restart them now. The first "
    "job that the vendor denies pauses it again."
)
IF_IT_SHOULD_RUN = "If it should run, resume it in the console."
NO_CREDITS_LEFT = "No credits are left, so a pause for lack of credits does not end."


def no_check(vendor: Vendor) -> str:
    return (
        f"Vendor {vendor} has no free call: its definition has no `check`. Make one call instead, "
        f"which may cost: {try_command(vendor)}"
    )


def concluded(vendor: Vendor, made: Trial) -> dict[str, Any]:
    """Return the report, after ending an automatic pause that the answer disproves."""
    answer = made.answer
    credits = _credits(answer.result) if isinstance(answer, Done) else None
    resumed = isinstance(answer, Done) and _resume(vendor, credits)
    return {**report(vendor, made), "credits": credits, "resumed": resumed}


def lines(vendor: Vendor, found: Mapping[str, Any]) -> Iterator[str]:
    shown = {**found, "result": None} if _says_credits_only(found["result"]) else found
    yield from text.lines(vendor, shown)
    yield ""
    if found["outcome"] not in (Outcome.FOUND, Outcome.NO_DATA):
        yield f"The check of vendor {vendor} failed."
        return
    has_credential = bool(credential_variables(vendor))
    yield WORKS.format(vendor=vendor) if has_credential else ANSWERS.format(vendor=vendor)
    if (credits := found["credits"]) is not None:
        yield f"Credits left: {credits:g}."
    yield from _pause(vendor, found)


def _pause(vendor: Vendor, found: Mapping[str, Any]) -> Iterator[str]:
    """Yield what became of the vendor's pause, if it was paused."""
    if found["resumed"]:
        yield RESUMED
        if vendor.pause_reason == pauses.DENIED:
            yield OTHER_KEY
    elif vendor.is_paused(timezone.now()):
        if found["credits"] is not None and found["credits"] <= 0:
            yield NO_CREDITS_LEFT
        hint = restart_hint(vendor) or IF_IT_SHOULD_RUN
        yield f"The vendor stays {states.pause(vendor)}. {hint}"


def _credits(result: Any) -> float | None:
    """Return how many credits are left, if the definition says where to read them."""
    credits = result.get("credits") if isinstance(result, dict) else None
    is_number = isinstance(credits, int | float) and not isinstance(credits, bool)
    return credits if is_number else None


def _says_credits_only(result: Any) -> bool:
    return isinstance(result, dict) and result.keys() <= {"credits"}


def _resume(vendor: Vendor, credits: float | None) -> bool:
    """A vendor without credits would only be paused again."""
    outcomes = [Outcome.AUTH] if credits is not None and credits <= 0 else list(ENDED)
    return pauses.resume_if_automatic(vendor.slug, outcomes)
