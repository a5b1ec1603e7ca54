"""Which keys of a credential open jobs refer to."""

from collections import Counter
from collections.abc import Collection

from django.db.models import QuerySet

from jobs.models.job import IN_FLIGHT, OPEN, Job, Status
from vendors.models import Credential, users_of

MAX_COUNTED = 10_000  # jobs that are read, since no index has them by key


def keys_in_use(credential: str, names: Collection[str], vendor: str = "") -> set[str]:
    """Return those of the named keys with which open jobs of its vendors, or of one `vendor` alone,
    were called.
    """
    jobs = _open_jobs(credential, OPEN).filter(credential__in=names)
    jobs = jobs.filter(vendor=vendor) if vendor else jobs
    return set(jobs.values_list("credential", flat=True).distinct())


def open_jobs_by_key(credential: str) -> tuple[Counter[str], bool]:
    """Return how many open jobs of its vendors were called with each key, and whether these are all
    of them: of very many open jobs, not all are read.
    """
    found: list[str] = []
    is_all = True
    for statuses in (IN_FLIGHT, [Status.QUEUED]):
        jobs = _open_jobs(credential, statuses).values_list("credential", flat=True)
        read = list(jobs[: MAX_COUNTED + 1])
        is_all = is_all and len(read) <= MAX_COUNTED
        found += read[:MAX_COUNTED]
    return Counter(found), is_all


def _open_jobs(credential: str, statuses: Collection[str]) -> QuerySet[Job]:
    vendors = [vendor.slug for vendor in users_of(Credential(slug=credential))]
    return Job.objects.filter(vendor__in=vendors, status__in=statuses).order_by()
