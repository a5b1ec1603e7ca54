"""What to do when Redis knows newer settings than a worker has."""

import logging
from collections.abc import Sequence

from jobs.queue import limiter
from jobs.queue.buckets import Bucket, all_buckets_of
from jobs.queue.take import Taken
from vendors.catalogue import catalogue
from vendors.models import Vendor

log = logging.getLogger(__name__)


def read_again(refused: Sequence[Taken]) -> None:
    """Read the settings of vendors whose copies were refused as outdated. Raises redis.RedisError
    and STORE_ERRORS.

    Rows that still have the lower version were restored from a backup, and count.
    """
    catalogue.forget()
    known = catalogue.all()
    for taken in refused:
        vendor = known.get(taken.vendor.slug)
        current = _buckets(vendor) if vendor else {}
        for outdated, version in taken.outdated:
            bucket = current.get(outdated.keys.state)
            if bucket and bucket.version < version:
                name = f"limit {bucket.limit}" if bucket.limit else f"vendor {vendor}"
                log.warning("%s has older settings than before, which count from now on", name)
                limiter.forget_version(bucket, version)


def _buckets(vendor: Vendor) -> dict[str, Bucket]:
    try:
        buckets = all_buckets_of(vendor)
    except ValueError:  # it can't be called
        return {}
    return {bucket.keys.state: bucket for bucket in buckets}
