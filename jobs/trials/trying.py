"""What is needed to call a vendor by hand, whoever asks for it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import redis
from django.utils import timezone

from jobs.api.input import bodies
from jobs.api.input.posted import missing_input
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.worker import trial
from jobs.worker.trial import NoPermitError, Trial
from vendors.models import Vendor
from vendors.payloads.json_reader import InvalidJSON
from vendors.registry import is_http

NOT_POLLED = "Vendor {vendor} is not polled: its definition has no `poll`."


class RefusedError(Exception):
    """No call was made. The message says why, and what to do."""


def example(vendor: Vendor) -> str:
    """Return an input with the fields that the vendor requires."""
    return json.dumps(dict.fromkeys(vendor.required_fields or ("name",), "..."))


def asks_by_reference(vendor: Vendor) -> bool:
    """Whether a poll names the work, and does not repeat the request with its input."""
    return is_http(vendor.adapter) and "url" in vendor.definition["poll"]


def read_input(
    vendor: Vendor, text: str, *, is_complete: bool = True, subject: str = "The input"
) -> dict[str, Any]:
    """Return the input. Raises RefusedError if it is none or, if it must be complete, lacks a field
    that the vendor requires. `subject`: what errors call it.
    """
    reader = replace(bodies.JOB_JSON, subject=subject)
    try:
        given = reader.read(text.encode("utf-8", "surrogateescape"))
    except InvalidJSON as error:
        raise RefusedError(str(error)) from None
    if not isinstance(given, dict):
        raise RefusedError(
            f"""{subject} must be a JSON object, such as '{{"name": "John Doe"}}'."""
        )
    missing = missing_input(vendor, given) if is_complete else {}
    if missing:
        lines = (f"{subject}: {name}: {faults[0]}" for name, faults in missing.items())
        raise RefusedError("\n".join(lines))
    return given


def warnings(vendor: Vendor) -> Iterator[str]:
    """Yield what would keep jobs from calling the vendor now. Raises redis.RedisError."""
    if vendor.is_paused(timezone.now()):
        reason = vendor.pause_reason.rstrip(".")
        yield f"The vendor is paused: {reason}. Calling it anyway."
    if commands().hexists(Keys(vendor.slug).state, "open_until"):
        yield "The vendor's breaker is open: it seemed down. Calling it anyway."


def made(vendor: Vendor, make: Callable[[], Trial]) -> Trial:
    """Return the call that `make` makes. Raises RefusedError if none could be made."""
    try:
        return make()
    except NoPermitError as error:
        timeout = f"{trial.TIMEOUT_SECONDS:.0f} s"
        raise RefusedError(f"No permit for vendor {vendor} within {timeout}. {error}") from None
    except redis.RedisError as error:
        raise RefusedError(
            f"Redis does not respond ({type(error).__name__}), and a call needs a permit from it. "
            "Start script/server, or Redis."
        ) from None
