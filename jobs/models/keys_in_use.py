"""Which keys of a credential open jobs refer to."""

from collections.abc import Collection

from jobs.models.job import OPEN, Job
from vendors.models import Credential, users_of


def keys_in_use(credential: str, names: Collection[str]) -> set[str]:
    """Return those of the named keys with which open jobs of its vendors were called."""
    vendors = [vendor.slug for vendor in users_of(Credential(slug=credential))]
    jobs = Job.objects.filter(vendor__in=vendors, status__in=OPEN, credential__in=names)
    return set(jobs.order_by().values_list("credential", flat=True).distinct())
