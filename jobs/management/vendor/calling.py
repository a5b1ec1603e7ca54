"""What `vendor try` and `vendor check` share: which vendor, whether it can be called from here, and
what prevents a call.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import CommandError

from jobs.recovery import unusable
from jobs.recovery.unusable_pauses import has_our_pause
from jobs.trials import trying
from jobs.trials.trying import RefusedError
from jobs.worker.trial import Trial
from vendors.base import Adapter
from vendors.catalogue import catalogue, listed
from vendors.models import Vendor
from vendors.registry import adapter_class, is_http

RESTART = (
    "What the workers lack is set here, but not where they run: restart them (script/server) with "
    "the same environment."
)


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


@contextmanager
def as_command_errors() -> Iterator[None]:
    try:
        yield
    except RefusedError as error:
        raise CommandError(str(error)) from None


def read_input(vendor: Vendor, text: str, *, is_complete: bool = True) -> dict[str, Any]:
    """Return the input. Raises CommandError as `trying.read_input` raises RefusedError."""
    with as_command_errors():
        return trying.read_input(vendor, text, is_complete=is_complete, subject="--input")


def restart_hint(vendor: Vendor) -> str:
    """Return what to do if the vendor is paused because no worker can call it, but this process
    can; '' if that is not so.
    """
    return RESTART if has_our_pause(vendor) and not unusable.fault(vendor) else ""


def made(vendor: Vendor, make: Callable[[], Trial]) -> Trial:
    """Return the call that `make` makes. Raises CommandError if none could be made."""
    with as_command_errors():
        return trying.made(vendor, make)
