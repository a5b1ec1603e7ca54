"""Limits of vendors as tests and benchmarks need them."""

from collections.abc import Sequence

from jobs.queue.keys import Keys
from jobs.queue.restore import NOW_US, ROUNDED_US, Content, Start, restore
from vendors.limits import Window


def restore_own(
    slug: str,
    windows: Sequence[Window],
    ended_us: Sequence[int],
    in_flight: Sequence[str],
    *,
    calling_us: Sequence[int] = (),
    token: str = "",
) -> bool:
    """Restore a vendor's own bucket, without reading rows.

    `ended_us`: when finished calls started, newest first, in microseconds. `calling_us`: the same
    for calls in progress. False: the lock that `token` holds has expired.
    """
    keys = Keys(slug)
    calling = [Start(at_us, NOW_US) for at_us in calling_us]
    starts = [*calling, *(Start(at_us, at_us + ROUNDED_US) for at_us in ended_us)]
    streams = [keys.retries, keys.jobs]
    return restore(keys, Content(windows, starts, in_flight), token=token, streams=streams)
