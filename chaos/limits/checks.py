"""What must hold for the keys of a pool: each call is made with one that may be used, and its polls
with the same one.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from chaos.history import Finding, History, Story
from chaos.journal import Edit
from chaos.ledger import Arrival
from chaos.limits.definitions import CREDENTIAL, POOL
from chaos.limits.rules import read_by, settings
from chaos.polls.definitions import DEFINITIONS

UNPAID = "unpaid"


def wrong_keys(history: History) -> Iterator[Finding]:
    """Calls with a key that no attempt has, and polls with another key than their call."""
    for job_id, story in _with_keys(history):
        for run in range(1, story.job.run + 1):
            said = Counter(attempt.credential for attempt in story.attempts_of(run))
            used = Counter(arrival.api_key for arrival in story.arrivals_of(run))
            if len(story.attempts_of(run)) >= used.total() and (others := used - said):
                yield job_id, f"run {run} was called with {dict(others)}; its attempts say {said}"
        keys = {(call.key, call.number): call.api_key for call in story.arrivals}
        for poll in story.polls:
            if poll.api_key != (key := keys.get((poll.key, poll.number))):
                yield job_id, f"was polled with {poll.api_key}, but called with {key}"


def unusable_keys(history: History) -> Iterator[Finding]:
    """Calls with a key that was retired, or long after it was known to be out of credits."""
    pools = settings(history.journal, "pool", CREDENTIAL, POOL)
    outages = [(each, _known_by(history, each)) for each in _outages(history)]
    for job_id, arrival in _undelayed(history):
        key, at = arrival.api_key, arrival.at
        if any(pool.is_in_force(at) and key not in pool.value for pool in pools):
            yield job_id, f"was called with {key}, which was retired"
        if any(key == each.slug and known_by < at < each.ended for each, known_by in outages):
            yield job_id, f"was called with {key}, which was known to be out of credits"


def _outages(history: History) -> list[Edit]:
    return [each for each in history.journal.edits if each.what == UNPAID]


def _known_by(history: History, outage: Edit) -> float:
    """Return by when all workers know that a key has no credits: some time after the first call."""
    first = min(
        (
            arrival.at
            for _, story in _with_keys(history)
            for arrival in story.arrivals
            if arrival.api_key == outage.slug and arrival.mood == UNPAID
            if outage.began <= arrival.at <= outage.ended
        ),
        default=outage.ended,
    )
    return read_by(history.journal, first, first)


def _undelayed(history: History) -> Iterator[tuple[str, Arrival]]:
    """Yield the calls that no fault had delayed."""
    frozen = [
        (each.began, each.ended + 2)
        for each in history.journal.troubles
        if each.part in ("workers", "redis", "store", "vendor")
        if each.name not in ("key_unpaid", "key_denied")
    ]
    for job_id, story in _with_keys(history):
        for arrival in story.arrivals:
            if not any(began <= arrival.at <= ended for began, ended in frozen):
                yield job_id, arrival


def _with_keys(history: History) -> Iterator[tuple[str, Story]]:
    for job_id, story in history.stories.items():
        if story.job.vendor in DEFINITIONS:
            yield job_id, story


CHECKS: dict[str, Callable[[History], Iterator[Finding]]] = {
    "calls and polls with a wrong key": wrong_keys,
    "calls with an unusable key": unusable_keys,
}
