"""Vendors that can't be called, or whose callbacks are refused, because of their settings."""

from collections.abc import Iterator

import redis
from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.core.exceptions import ValidationError

from jobs.queue.heartbeat import WorkerReport
from jobs.queue.redis import hints
from jobs.recovery import unusable
from vendors.models import Vendor

INVALID = "enrichlabs.W038"
VARIABLE_MISSING = "enrichlabs.W039"


def check_rows() -> list[CheckMessage]:
    """Raises one of STORE_ERRORS."""
    workers = _workers()
    return [
        issue
        for vendor in Vendor.objects.filter(enabled=True)
        for issue in (*_check_fields(vendor), *_check_variables(vendor, workers))
    ]


def _check_fields(vendor: Vendor) -> Iterator[CheckMessage]:
    """Validate rows that an earlier release wrote, or that were changed behind our back."""
    try:
        vendor.full_clean()
    except ValidationError as error:
        for name, sentences in error.message_dict.items():
            yield Warning(
                f"Vendor {vendor}: {name}: {' '.join(sentences)}",
                hint="Correct it in the console or with load_vendors. Until then this vendor can't "
                "be called, or its callbacks are refused.",
                id=INVALID,
            )


def _check_variables(vendor: Vendor, workers: list[WorkerReport]) -> Iterator[CheckMessage]:
    reasons = [report.why[vendor.slug] for report in workers if vendor.slug in report.why]
    if workers:
        who, why = f"{len(reasons)} of {len(workers)} workers", " ".join(sorted(set(reasons)))
    else:  # none is alive to report: assume that they have our environment
        who, why = "a worker", vendor.api_key_fault or vendor.credential_fault
    if why:
        yield Warning(
            f"Vendor {vendor} can't be called by {who}: {why}",
            hint="Correct it in the environment of the workers, and restart them.",
            id=VARIABLE_MISSING,
        )
    fault = vendor.webhook_secret_fault or vendor.callback_fault
    if fault and "webhooks" in settings.SERVES:
        yield Warning(
            f"Vendor {vendor}: its callbacks are refused: {fault}",
            hint="Set the variable in the environment of the process that receives callbacks, and "
            "restart it.",
            id=VARIABLE_MISSING,
        )


def _workers() -> list[WorkerReport]:
    try:
        return unusable.reports(hints())
    except redis.RedisError:
        return []  # another check reports that
