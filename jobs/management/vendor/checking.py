"""`manage.py vendor check`: what the free call found, and which pause it ends."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from jobs.admin import states
from jobs.management.vendor import text
from jobs.management.vendor.adding import try_command
from jobs.management.vendor.calling import can_check, restart_hint
from jobs.management.vendor.variables import credential_variables
from jobs.queue.clock import redis_clock
from jobs.trials.report import report
from jobs.worker.trial import Trial
from vendors import pauses
from vendors.base import Done, Outcome
from vendors.management.program import command
from vendors.models import CredentialKey, Vendor, users_of

ENDED = (Outcome.AUTH, Outcome.NO_CREDITS)
WORKS, ANSWERS = "The credential of vendor {vendor} works.", "Vendor {vendor} answers."
RESUMED = "The {what} was paused automatically. It works again, so the pause has ended."
OTHER_KEY = (
    "Workers that were started with another key still use that one: restart them now. The first "
    "job that the vendor denies pauses it again."
)
IF_IT_SHOULD_RUN = "If it should run, resume it in the console."
NO_CREDITS_LEFT = "No credits are left, so a pause for lack of credits does not end."


def no_check(vendor: Vendor) -> str:
    none = f"Vendor {vendor} has no free call: its definition has no `check`."
    if other := _other_user(vendor):
        check = command(f"vendor check {other}")
        return f"{none} Vendor {other} has one, and the same credential: {check}"
    return f"{none} Make one call instead, which may cost: {try_command(vendor)}"


def _other_user(vendor: Vendor) -> Vendor | None:
    """Return a vendor with the same credential that can be checked."""
    users = users_of(vendor.credential) if vendor.credential else []
    return next((each for each in users if can_check(each)), None)


@dataclass(frozen=True)
class Check:
    """What the free call with one key found. `paused`: what was paused before, the vendor or that
    key of several; None if it was not.
    """

    vendor: Vendor
    key: str
    report: dict[str, Any]
    paused: Vendor | CredentialKey | None = None

    @property
    def works(self) -> bool:
        return self.report["outcome"] in (Outcome.FOUND, Outcome.NO_DATA)

    @property
    def succeeds(self) -> bool:
        """Whether calls can be made with the key: not if no credits are left."""
        return self.works and not _is_none_left(self.report["credits"])


def keys_of(vendor: Vendor, only: str) -> list[str]:
    """Return the keys to check; '' for a vendor without a credential. Raises CommandError if `only`
    is none of them.
    """
    credential = vendor.credential
    if credential is None:
        if only:
            raise CommandError(f"Vendor {vendor} has no credential. Leave out --key.")
        return [""]
    if only and only not in credential.scheme.names:
        known = ", ".join(credential.scheme.names)
        raise CommandError(f"Credential {credential} has no key {only!r}. It has {known}.")
    return [only] if only else list(credential.scheme.keys)


def unset(vendor: Vendor, key: str, fault: str) -> Check:
    """Return the report for a key that this process can't use."""
    found = {"vendor": vendor.slug, "kind": "check", "key": key}
    return Check(vendor, key, {**found, "outcome": "api_key_missing", "message": fault})


def fault_of(vendor: Vendor, key: str) -> str:
    """Return why this process can't use the key; '' if it can."""
    return vendor.credential.faults.get(key, "") if vendor.credential else ""


def concluded(vendor: Vendor, key: str, made: Trial) -> Check:
    """Return the report, after ending an automatic pause that the answer disproves."""
    answer, paused = made.answer, _paused(vendor, key)
    credits = _credits(answer.result) if isinstance(answer, Done) else None
    resumed = isinstance(answer, Done) and _resume(vendor, key, credits)
    found = {"key": key, "credits": credits, "resumed": resumed}
    return Check(vendor, key, {**report(vendor, made), **found}, paused)


def together(vendor: Vendor, checks: Sequence[Check]) -> dict[str, Any]:
    """Return the report on several keys."""
    return {"vendor": vendor.slug, "keys": [check.report for check in checks]}


def all_lines(checks: Iterable[Check]) -> Iterator[str]:
    for check in checks:
        yield f"Key {check.key}"
        yield from lines(check)
        yield ""


def lines(check: Check) -> Iterator[str]:
    vendor, found = check.vendor, check.report
    if "exchanges" not in found:
        yield f"Not checked from here: {found['message']}"
        return
    shown = {**found, "result": None} if _says_credits_only(found["result"]) else found
    yield from text.lines(vendor, shown)
    yield ""
    if not check.works:
        yield f"The check of vendor {vendor} failed."
        return
    has_credential = bool(credential_variables(vendor))
    yield WORKS.format(vendor=vendor) if has_credential else ANSWERS.format(vendor=vendor)
    if (credits := found["credits"]) is not None:
        yield f"Credits left: {credits:g}."
    yield from _pause(check)


def _paused(vendor: Vendor, key: str) -> Vendor | CredentialKey | None:
    """Return what a pause of calls with the key is about, if there is one."""
    now, credential = timezone.now(), vendor.credential
    of_key = credential.states.get(key) if credential and credential.has_others else None
    paused = of_key if of_key and of_key.is_paused(now) else vendor
    return paused if paused.is_paused(now) else None


def _pause(check: Check) -> Iterator[str]:
    """Yield what became of the pause, if there was one."""
    what = "key" if isinstance(check.paused, CredentialKey) else "vendor"
    if check.report["resumed"]:
        yield RESUMED.format(what=what)
        if check.paused and check.paused.pause_reason in pauses.DENIED_REASONS:
            yield OTHER_KEY
    elif check.paused:
        if _is_none_left(check.report["credits"]):
            yield NO_CREDITS_LEFT
        hint = restart_hint(check.vendor) or IF_IT_SHOULD_RUN
        yield f"The {what} stays {states.pause(check.paused)}. {hint}"


def _credits(result: Any) -> float | None:
    """Return how many credits are left, if the definition says where to read them."""
    credits = result.get("credits") if isinstance(result, dict) else None
    is_number = isinstance(credits, int | float) and not isinstance(credits, bool)
    return credits if is_number else None


def _is_none_left(credits: float | None) -> bool:
    return credits is not None and credits <= 0


def _says_credits_only(result: Any) -> bool:
    return isinstance(result, dict) and result.keys() <= {"credits"}


def _resume(vendor: Vendor, key: str, credits: float | None) -> bool:
    """A vendor without credits would only be paused again."""
    outcomes = [Outcome.AUTH] if _is_none_left(credits) else list(ENDED)
    return pauses.resume_if_automatic(vendor.slug, outcomes, key=key, now=redis_clock.now())
