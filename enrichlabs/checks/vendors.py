"""Vendors whose settings keep them from being called, or their callbacks from being taken."""

from collections.abc import Iterator

import redis
from django.conf import settings
from django.core.checks import CheckMessage, Warning
from django.core.exceptions import ValidationError

from jobs.queue.redis import hints
from jobs.recovery import unusable
from jobs.recovery.unusable import WorkerReport
from vendors.models import Vendor


def of_rows() -> list[CheckMessage]:
    """Raises one of STORE_ERRORS."""
    workers = _workers()
    return [
        issue
        for vendor in Vendor.objects.filter(enabled=True)
        for issue in (*_of_settings(vendor), *_of_keys(vendor, workers))
    ]


def _of_settings(vendor: Vendor) -> Iterator[CheckMessage]:
    """Rows that were written by an earlier release, or past all checks."""
    try:
        vendor.full_clean()
    except ValidationError as error:
        for name, sentences in error.message_dict.items():
            yield Warning(
                f"Vendor {vendor}: {name}: {' '.join(sentences)}",
                hint="Correct it in the console or by load_vendors; as it is, the vendor can't be called or called back.",
                id="enrichlabs.W038",
            )


def _of_keys(vendor: Vendor, workers: list[WorkerReport]) -> Iterator[CheckMessage]:
    lacking = {report.why[vendor.slug] for report in workers if vendor.slug in report.why}
    # Where no worker lives to be asked, this process' own environment tells.
    key = " ".join(sorted(lacking)) if workers else vendor.api_key_fault
    if key:
        count = (
            f"{sum(vendor.slug in report.why for report in workers)} of {len(workers)} workers"
            if workers
            else "a worker"
        )
        yield Warning(
            f"Vendor {vendor} can't be called by {count}: {key}",
            hint="Put it right where the workers run, and restart them.",
            id="enrichlabs.W039",
        )
    if vendor.webhook_secret_fault and "webhooks" in settings.SERVES:
        yield Warning(
            f"Vendor {vendor}: its callbacks are refused: {vendor.webhook_secret_fault}",
            hint="Set the variable where callbacks are taken, and restart that.",
            id="enrichlabs.W039",
        )


def _workers() -> list[WorkerReport]:
    try:
        return unusable.reports(hints())
    except redis.RedisError:
        return []  # of which another check tells
