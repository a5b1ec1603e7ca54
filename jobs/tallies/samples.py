"""Samples of how many jobs wait, once a minute: counts of what happened cannot tell that."""

from jobs.queue.keys import GROUP, Keys
from jobs.queue.redis import commands, script
from jobs.queue.snapshot import take_snapshot
from jobs.tallies.memory import memory
from vendors.catalogue import catalogue


class Sampler:
    """Takes the samples, for the leader of the sweep."""

    def __init__(self) -> None:
        self._waited: set[str] = set()  # the vendors whose jobs waited at the last sample

    def step(self) -> int:
        """Raises redis.RedisError."""
        slugs = list(catalogue.all())
        waiting = {slug: count for slug, count in _waiting(slugs).items() if count}
        for slug in slugs:
            if slug in waiting or slug in self._waited:  # else nothing is as good as a zero
                memory.sample(slug, waiting.get(slug, 0), _oldest_seconds(slug))
        self._waited = set(waiting)
        for slug, held in take_snapshot(catalogue.all().values()).vendors.items():
            if held.has_no_slot:
                memory.count("at_cap", slug)
        return 0


def _waiting(slugs: list[str]) -> dict[str, int]:
    """Return how many entries no worker has taken, by vendor."""
    pipeline = commands().pipeline(transaction=False)
    for slug in slugs:
        for stream in (Keys(slug).jobs, Keys(slug).retries):
            pipeline.xlen(stream)
            pipeline.xpending(stream, GROUP)
    answers, found = iter(pipeline.execute(raise_on_error=False)), {}
    for slug in slugs:
        of_streams = [(next(answers), next(answers)) for _ in range(2)]
        found[slug] = sum(_untaken(length, pending) for length, pending in of_streams)
    return found


def _untaken(length: object, pending: object) -> int:
    """The group of a stream that no worker has read does not exist, and its pending entries are an
    error.
    """
    taken = pending["pending"] if isinstance(pending, dict) else 0
    return max(length - taken, 0) if isinstance(length, int) else 0


def _oldest_seconds(slug: str) -> float:
    keys = Keys(slug)
    names = [keys.retries, keys.jobs, keys.intact_since]
    now, retries, jobs, _ = script("heads")(keys=names, args=[], client=commands())
    return max(int(now) - min(int(retries), int(jobs)), 0) / 1000
