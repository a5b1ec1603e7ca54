"""Which vendors use a credential, and whether they can."""

from collections.abc import Container, Iterator

from vendors.models import validation
from vendors.models.credential import Credential
from vendors.models.vendor import Vendor


def users_of(credential: Credential) -> list[Vendor]:
    """Return the vendors whose definition names the credential."""
    # The store can't search in a definition. Vendors are few.
    vendors = Vendor.objects.order_by("slug")
    return [vendor for vendor in vendors if vendor.definition.get("credential") == credential.slug]


def faults_of_users(
    credential: Credential, except_for: Container[str] = ()
) -> Iterator[tuple[str, str]]:
    """Yield the vendors that could not use the credential as it is now, and why."""
    for vendor in users_of(credential):
        before = validation.faults_of(vendor)
        vendor.credential = credential
        for key, sentence in validation.faults_of(vendor).items():
            if vendor.slug not in except_for and before.get(key) != sentence:
                yield vendor.slug, f"{key}: {sentence}"
