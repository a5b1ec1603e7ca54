"""What to do when Redis knows newer settings than a worker has."""

import logging
from collections.abc import Iterator, Sequence

from jobs.queue import restore
from jobs.queue.buckets import Bucket, buckets_of, pool_of
from jobs.queue.clock import redis_clock
from jobs.queue.redis import commands
from vendors.catalogue import catalogue
from vendors.models import Vendor

log = logging.getLogger(__name__)


def read_again(refused: Sequence[Vendor]) -> None:
    """Read the settings of vendors whose copies were refused as outdated. Raises redis.RedisError
    and STORE_ERRORS.

    If the rows still have the lower version, they were restored from a backup, and count.
    """
    states = list({bucket.keys.state for vendor in refused for bucket in _buckets(vendor)})
    pipeline = commands().pipeline(transaction=False)
    for state in states:
        pipeline.hget(state, "version")
    versions = dict(zip(states, pipeline.execute(), strict=True))
    catalogue.forget()
    known = catalogue.all()
    for vendor in refused:
        for bucket in _buckets(known[vendor.slug]) if vendor.slug in known else ():
            version = int(versions.get(bucket.keys.state) or 0)
            if bucket.version < version:
                _set_back(vendor, bucket, version)


def _set_back(vendor: Vendor, bucket: Bucket, version: int) -> None:
    if restore.set_version_back(bucket.keys.state, version, bucket.version):
        name = f"limit {bucket.limit}" if bucket.limit else f"vendor {vendor}"
        log.warning("the settings of %s are older than those used before; they are used now", name)


def _buckets(vendor: Vendor) -> Iterator[Bucket]:
    try:
        yield from buckets_of(vendor).of_all(pool_of(vendor, redis_clock.now()))
    except ValueError:
        return  # it can't be called
