"""Which vendors use a credential or a limit, and whether they can."""

from collections.abc import Container, Iterator

from vendors.models import validation
from vendors.models.credential import Credential
from vendors.models.limit import Limit
from vendors.models.vendor import Vendor


def uses(vendor: Vendor, shared: Credential | Limit) -> bool:
    """Whether the vendor's definition names the credential or the limit."""
    if isinstance(shared, Limit):
        return shared.slug in vendor.limit_names
    return bool(vendor.definition.get("credential") == shared.slug)


def users_of(shared: Credential | Limit) -> list[Vendor]:
    """Return the vendors whose definition names the credential or the limit."""
    # The store can't search in a definition. Vendors are few.
    return [vendor for vendor in Vendor.objects.order_by("slug") if uses(vendor, shared)]


def faults_of_users(
    shared: Credential | Limit, except_for: Container[str] = ()
) -> Iterator[tuple[str, str]]:
    """Yield the vendors that could not use the credential or limit as it is now, and why."""
    for vendor in users_of(shared):
        before = validation.faults_of(vendor)
        if isinstance(shared, Limit):
            vendor.name_limits({**vendor.named_limits, shared.slug: shared})
        else:
            vendor.credential = shared
        for key, sentence in validation.faults_of(vendor).items():
            if vendor.slug not in except_for and before.get(key) != sentence:
                yield vendor.slug, f"{key}: {sentence}"
