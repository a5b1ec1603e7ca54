"""What commands say about a vendor's callbacks: where they must come, and what keeps them away."""

from collections.abc import Iterator

from django.conf import settings

from vendors.catalogue import account_url
from vendors.http.addresses import is_loopback
from vendors.models import Vendor

TELL = "Tell the vendor to post its answers to {url}"
UNREACHABLE = (
    "PUBLIC_URL is {public_url}, which only this machine reaches: the vendor's callbacks can't "
    "arrive. Set it to the address at which the vendor reaches this service."
)


def callback_notes(vendor: Vendor) -> Iterator[str]:
    if url := account_url(vendor):
        yield TELL.format(url=url)
    posts = "callback" in vendor.definition or vendor.webhook_secret_env
    if posts and is_loopback(settings.PUBLIC_URL) and not is_loopback(vendor.url.split()[-1]):
        yield UNREACHABLE.format(public_url=settings.PUBLIC_URL)
