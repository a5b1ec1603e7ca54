"""What the outside could do with us. DEBUG is Django's own to speak of."""

import ipaddress
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from enrichlabs.standalone.bootstrap import MOCKS_PATH
from vendors.models import Vendor


def of_settings() -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if is_loopback(settings.PUBLIC_URL):
        found.append(
            Warning(
                f"PUBLIC_URL is {settings.PUBLIC_URL}, which leads every vendor to its own machine: no callback arrives.",
                hint="Set PUBLIC_URL to the address by which vendors reach this service.",
                id="enrichlabs.W037",
            )
        )
    elif not settings.PUBLIC_URL.startswith("https://"):
        found.append(
            Warning(
                "PUBLIC_URL is no https:// address: results, callbacks' tokens and the console's cookies travel in the clear.",
                hint="Put a proxy before it that speaks TLS, and set PUBLIC_URL to its address.",
                id="enrichlabs.W035",
            )
        )
    if "*" in settings.ALLOWED_HOSTS:
        found.append(
            Warning(
                "ALLOWED_HOSTS is *: whoever sends a request chooses the name by which the service calls itself.",
                hint="Set ALLOWED_HOSTS to the names of the service.",
                id="enrichlabs.W036",
            )
        )
    return found


def pretend_vendors() -> list[CheckMessage]:
    """Raises one of STORE_ERRORS."""
    enabled = (
        Vendor.objects.filter(enabled=True, url__contains=MOCKS_PATH)
        .order_by()
        .values_list("slug", flat=True)
    )
    if not enabled and "mock" not in settings.SERVES:
        return []
    return [
        Warning(
            "The mock vendors can be used: what they answer is made up.",
            hint=f"Disable them in the console ({', '.join(enabled) or 'none is enabled'}), and take mock out of SERVES.",
            id="enrichlabs.W034",
        )
    ]


def is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
