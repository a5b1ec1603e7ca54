"""What outsiders could do. Django itself checks DEBUG."""

from django.conf import settings
from django.core.checks import CheckMessage, Warning

from enrichlabs.config.addresses import is_loopback
from enrichlabs.standalone.bootstrap import MOCKS_PATH
from vendors.models import Vendor

NO_CALLBACKS = "enrichlabs.W037"
NO_PROXY = "enrichlabs.W043"
NO_TLS = "enrichlabs.W035"
ANY_HOST = "enrichlabs.W036"
MOCK_VENDORS = "enrichlabs.W034"


def check_settings() -> list[CheckMessage]:
    return [
        *_check_public_url(settings.PUBLIC_URL),
        *_check_proxies(settings.PUBLIC_URL),
        *_check_allowed_hosts(),
    ]


def _check_public_url(url: str) -> list[CheckMessage]:
    if is_loopback(url):
        return [
            Warning(
                f"PUBLIC_URL is {url}, a loopback address: vendors can't deliver callbacks to it.",
                hint="Set PUBLIC_URL to the address at which vendors reach this service.",
                id=NO_CALLBACKS,
            )
        ]
    if not url.startswith("https://"):
        return [
            Warning(
                "PUBLIC_URL is not an https:// address: results, callback tokens and the "
                "console's cookies are sent unencrypted.",
                hint="Put a proxy with TLS in front, and set PUBLIC_URL to its address.",
                id=NO_TLS,
            )
        ]
    return []


def _check_proxies(url: str) -> list[CheckMessage]:
    if settings.TRUSTED_PROXIES or is_loopback(url) or not url.startswith("https://"):
        return []
    return [
        Warning(
            "TRUSTED_PROXIES is empty, but PUBLIC_URL is an https:// address, so a proxy is in "
            "front: all requests seem to come from its address. Anybody can keep others from the "
            "console by wrong passwords, and API keys can't be limited to addresses.",
            hint="Set TRUSTED_PROXIES to the addresses of the proxies.",
            id=NO_PROXY,
        )
    ]


def _check_allowed_hosts() -> list[CheckMessage]:
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            "ALLOWED_HOSTS is *: any client can choose the host name in the URLs that the service "
            "builds.",
            hint="Set ALLOWED_HOSTS to the host names of the service.",
            id=ANY_HOST,
        )
    ]


def check_mock_vendors() -> list[CheckMessage]:
    """Raises one of STORE_ERRORS."""
    mocks = Vendor.objects.filter(enabled=True, url__contains=MOCKS_PATH)
    slugs = mocks.order_by().values_list("slug", flat=True)
    if not slugs and "mock" not in settings.SERVES:
        return []
    enabled = ", ".join(slugs) or "none is enabled"
    return [
        Warning(
            "Mock vendors are available: their results are made up.",
            hint=f"Disable them in the console ({enabled}), and remove mock from SERVES.",
            id=MOCK_VENDORS,
        )
    ]
