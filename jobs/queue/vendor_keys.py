"""The keys in Redis that a vendor has because of its credential and its limits."""

from typing import Any

from jobs.queue.buckets import all_buckets_of
from jobs.queue.keys import BucketKeys, Keys, key_pause, limit_keys
from jobs.queue.stream import hints_may_fail
from vendors.models import Vendor


def poll_streams(vendor: Vendor) -> dict[str, str]:
    """Return the streams of a vendor's polls by the key of its credential, in the order of the
    definition. The first is '', for polls without a key.

    A job is polled with the key that it was called with, so each key has a stream of its own.
    """
    names = vendor.credential.key_names if vendor.credential else []
    return {key: Keys(vendor.slug).polls_of(key) for key in ("", *names)}


def counting_keys(vendor: Vendor) -> list[BucketKeys]:
    """Return the keys of the buckets that count a vendor's calls, its own first."""
    try:
        return [bucket.keys for bucket in all_buckets_of(vendor)]
    except ValueError:  # nobody calls a vendor with a limit or credential that can't be read
        return [Keys(vendor.slug)]


def forget_limit(slug: str) -> bool:
    """Remove what Redis counts of a limit that is deleted, best effort. False: Redis failed."""

    def unlink(client: Any) -> None:
        matches = [f"{limit_keys(slug, key).tag}:*" for key in ("", "*")]
        names = [name for match in matches for name in client.scan_iter(match, count=1000)]
        if names:
            client.unlink(*names)

    return hints_may_fail.give(unlink)


def key_types(vendor: Vendor) -> dict[str, str]:
    """Return the type of each key in Redis that a vendor's calls need."""
    keys, polls = Keys(vendor.slug), poll_streams(vendor)
    types = dict.fromkeys((keys.jobs, keys.retries, *polls.values()), "stream")
    types |= {keys.intact_since: "string", keys.pause: "string", keys.waited: "zset"}
    if vendor.credential:
        types |= {key_pause(vendor.credential.slug, key): "string" for key in polls if key}
    for each in counting_keys(vendor):
        types |= {each.freed: "stream", each.rebuilder: "string"}
        types |= {each.log: "list", each.in_flight: "zset", each.state: "hash"}
    return types
