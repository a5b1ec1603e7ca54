"""What `vendor try` and `vendor check` share: which vendor, whether it can be called from here, and
what prevents a call.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import redis
from django.core.management.base import CommandError
from django.utils import timezone

from jobs.api.input import bodies
from jobs.api.input.posted import missing_input
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.recovery import unusable
from jobs.recovery.unusable_pauses import has_our_pause
from jobs.worker import trial
from jobs.worker.trial import NoPermitError, Trial
from vendors.base import Adapter
from vendors.catalogue import catalogue, listed
from vendors.models import Vendor
from vendors.payloads.json_reader import InvalidJSON
from vendors.registry import adapter_class, is_http

RESTART = (
    "What the workers lack is set here, but not where they run: restart them (script/server) with "
    "the same environment."
)
INPUT_JSON = replace(bodies.JOB_JSON, subject="--input")


def vendor_called(slug: str) -> Vendor:
    """Return the vendor. Raises CommandError if there is none that can be called from here."""
    vendor = catalogue.get(slug)
    if vendor is None:
        known = listed(catalogue.all())
        raise CommandError(f"There is no vendor {slug!r}. Known vendors: {known}.")
    if fault := unusable.fault(vendor):
        raise CommandError(f"Can't call vendor {vendor} from here: {fault}")
    return vendor


def can_check(vendor: Vendor) -> bool:
    """Whether the vendor's definition, or its adapter, knows a free call."""
    if is_http(vendor.adapter):
        return "check" in vendor.definition
    return adapter_class(vendor.adapter).check is not Adapter.check


def asks_by_reference(vendor: Vendor) -> bool:
    """Whether a poll names the work, and does not repeat the request with its input."""
    return is_http(vendor.adapter) and "url" in vendor.definition["poll"]


def read_input(vendor: Vendor, text: str, *, is_complete: bool = True) -> dict[str, Any]:
    """Return the input. Raises CommandError if it is none or, if it must be complete, lacks a
    field that the vendor requires.
    """
    try:
        given = INPUT_JSON.read(text.encode("utf-8", "surrogateescape"))
    except InvalidJSON as error:
        raise CommandError(str(error)) from None
    if not isinstance(given, dict):
        raise CommandError("""--input must be a JSON object, such as '{"name": "John Doe"}'.""")
    missing = missing_input(vendor, given) if is_complete else {}
    if missing:
        raise CommandError(
            "\n".join(f"--input: {name}: {faults[0]}" for name, faults in missing.items())
        )
    return given


def warnings(vendor: Vendor) -> Iterator[str]:
    """Yield what would keep jobs from calling the vendor now. Raises redis.RedisError."""
    if vendor.is_paused(timezone.now()):
        reason = vendor.pause_reason.rstrip(".")
        yield f"The vendor is paused: {reason}. Calling it anyway."
    if commands().hexists(Keys(vendor.slug).state, "open_until"):
        yield "The vendor's breaker is open: it seemed down. Calling it anyway."


def restart_hint(vendor: Vendor) -> str:
    """Return what to do if the vendor is paused because no worker can call it, but this process
    can; '' if that is not so.
    """
    return RESTART if has_our_pause(vendor) and not unusable.fault(vendor) else ""


def made(vendor: Vendor, make: Callable[[], Trial]) -> Trial:
    """Return the call that `make` makes. Raises CommandError if none could be made."""
    try:
        return make()
    except NoPermitError as error:
        timeout = f"{trial.TIMEOUT_SECONDS:.0f} s"
        raise CommandError(f"No permit for vendor {vendor} within {timeout}. {error}") from None
    except redis.RedisError as error:
        raise CommandError(
            f"Redis does not respond ({type(error).__name__}), and a call needs a permit from it. "
            "Start script/server, or Redis."
        ) from None
