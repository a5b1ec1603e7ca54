"""The lines of the workers in a snapshot."""

from collections.abc import Iterator
from datetime import UTC, datetime

from jobs.monitoring.facts import WorkerLine
from jobs.queue.snapshot import Snapshot
from jobs.queue.workers import WorkerFacts


def lines(redis: Snapshot) -> list[WorkerLine]:
    """Return a line for each worker: those that are alive, then those that were, by name."""
    newest = newest_version(redis)
    found = [_line(*each, newest) for each in _known(redis)]
    return sorted(found, key=lambda line: (line.state == "silent", line.host, line.name))


def newest_version(redis: Snapshot) -> str:
    """Return the version of the live worker that was started last; '' if none says."""
    return max(_alive(redis), key=lambda facts: facts.started_at, default=WorkerFacts()).version


def mixed_since(redis: Snapshot) -> datetime | None:
    """Return since when live workers of several versions have been running; None if all have the
    same.
    """
    first: dict[str, float] = {}
    for facts in _alive(redis):
        first[facts.version] = min(facts.started_at, first.get(facts.version, facts.started_at))
    return datetime.fromtimestamp(max(first.values()), UTC) if len(first) > 1 else None


def _alive(redis: Snapshot) -> Iterator[WorkerFacts]:
    for worker in redis.workers:
        facts = redis.facts.get(worker.name)
        if worker.is_alive and facts and facts.version:
            yield facts


def _known(redis: Snapshot) -> Iterator[tuple[str, float, WorkerFacts]]:
    """Yield the name of each worker, for how long it has been silent (0 if it is alive), and what
    it reported.
    """
    seen = {it.name: 0.0 if it.is_alive else it.silent_seconds for it in redis.workers}
    for name, facts in redis.facts.items():  # also of those that were taken over
        seen.setdefault(name, redis.now.timestamp() - facts.sent_at)
    for name, seconds in seen.items():
        yield name, seconds, redis.facts.get(name, WorkerFacts())


def _line(name: str, silent_seconds: float, facts: WorkerFacts, newest: str) -> WorkerLine:
    is_silent = silent_seconds > 0
    started_at = datetime.fromtimestamp(facts.started_at, UTC) if facts.started_at else None
    return WorkerLine(
        name,
        host=facts.host or name.rsplit("-", 2)[0],
        version=facts.version,
        is_other_version=bool(facts.version) and facts.version != newest and not is_silent,
        threads=facts.threads,
        busy=0 if is_silent else facts.busy,
        per_minute=0 if is_silent else facts.per_minute,
        silent_seconds=silent_seconds,
        state="silent" if is_silent else facts.state or "alive",
        started_at=started_at,
        vendors=facts.only,
        store_ms=facts.store_ms,
        clock_ahead_seconds=facts.clock_ahead_seconds,
    )
