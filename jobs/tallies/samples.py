"""Samples of how many jobs wait, once a minute: counts of what happened cannot tell that."""

from jobs.queue.redis import commands
from jobs.queue.snapshot import take_snapshot
from jobs.tallies.memory import memory
from vendors.catalogue import catalogue


class Sampler:
    """Takes the samples, for the leader of the sweep."""

    def __init__(self) -> None:
        self._waited: set[str] = set()  # the vendors whose jobs waited at the last sample

    def step(self) -> int:
        """Take one sample. Without Redis there is none."""
        snapshot = take_snapshot(catalogue.all().values(), commands())
        waiting = {slug for slug, vendor in snapshot.vendors.items() if vendor.queued}
        for slug in waiting | self._waited & snapshot.vendors.keys():  # else no sample says zero
            vendor = snapshot.vendors[slug]
            memory.sample(slug, vendor.queued, vendor.oldest_seconds)
        self._waited = waiting
        for slug, vendor in snapshot.vendors.items():
            if vendor.has_no_slot:
                memory.count("at_cap", slug)
        return 0
