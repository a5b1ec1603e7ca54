"""The list of vendors, the worst first."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest

from jobs.admin import key_states
from jobs.admin.overview.vendors import vendor_rows
from jobs.admin.vendors.page.content import current
from jobs.monitoring.facts import VendorLine, VendorState
from vendors.models import Vendor

REFRESH_SECONDS = 15
ORDER = {state: number for number, state in enumerate(VendorState)}


def listed(request: HttpRequest, vendors: Iterable[Vendor]) -> list[Any]:
    """Return the vendors, each with what its row shows."""
    found: list[Any] = list(vendors)
    now = current(found)
    lines = [now.vendor(vendor.slug) or _unknown(vendor) for vendor in found]
    for vendor, row in zip(found, vendor_rows(lines, request), strict=True):
        vendor.row = row
        vendor.keys_summary = key_states.summary(vendor, now.redis)
        vendor.limits_text = ", ".join(filter(None, [vendor.rate_limits, *vendor.limit_names]))
    return sorted(found, key=lambda vendor: (ORDER[vendor.row.line.state], vendor.slug))


def _unknown(vendor: Vendor) -> VendorLine:
    """Return the line of a vendor that has just been added."""
    return VendorLine(vendor, vendor.slug, VendorState.RUNNING, "")
