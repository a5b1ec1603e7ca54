"""What must hold across hosts, beside all that must hold anyway, and how soon a host is at work
again when it is healed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from chaos.checks import Finding
from chaos.client import Posted
from chaos.cuts import Outage
from chaos.history import History
from chaos.ledger import Arrival
from chaos.report import Row
from jobs.worker.claim import DEADLINE_MARGIN_SECONDS

BACK_SECONDS = 15.0  # within which a healed host is at work again
UNDER_WAY_SECONDS = 1.0  # within which a call that had its permit and its row has come
LIMITED = "limited"


def calls_of(history: History) -> list[Arrival]:
    return [arrival for story in history.stories.values() for arrival in story.arrivals]


def unseen(history: History) -> Iterator[Finding]:
    """Accepted by one API host, and not there at another."""
    for posted in history.posted:
        if posted.seen == "404":
            yield (
                posted.job_id,
                f"{posted.api} had accepted it, and another API host did not know it",
            )


def blind_calls(history: History, outages: Sequence[Outage]) -> Iterator[Finding]:
    """Calls that a worker began while it had no permit from Redis, or no row in the store."""
    for outage in outages:
        if outage.cut.part != "workers":
            continue
        for story in history.stories.values():
            for arrival in story.arrivals:
                if (
                    arrival.caller == outage.address
                    and outage.began + UNDER_WAY_SECONDS < arrival.at < outage.ended
                ):
                    yield (
                        story.job.pk,
                        f"{outage.cut.name} for {arrival.at - outage.began:.1f} s, and it called",
                    )


def idle(history: History, workers: Mapping[str, str]) -> Iterator[Finding]:
    """Hosts that made no call of a limited vendor, so that nothing was shared. `workers`: names by
    address.
    """
    callers = {arrival.caller for arrival in calls_of(history) if arrival.vendor == LIMITED}
    for address, name in workers.items():
        if address not in callers:
            yield "none", f"{name} made no call of {LIMITED}"


def not_back(
    history: History, outages: Sequence[Outage], workers: Mapping[str, str]
) -> Iterator[Finding]:
    """Hosts that did nothing useful for long after they were healed."""
    calls = calls_of(history)
    for outage in outages:
        for name, seconds in back_after(history, calls, outage, workers).items():
            if seconds is None or seconds > BACK_SECONDS:
                yield "none", f"after {outage.cut.name}, {name} was at work again {_after(seconds)}"


def rows(history: History, outages: Sequence[Outage], workers: Mapping[str, str]) -> Iterator[Row]:
    calls = calls_of(history)
    yield "calls by host", _by_host(calls, workers)
    yield (
        f"calls of {LIMITED} by host",
        _by_host([call for call in calls if call.vendor == LIMITED], workers),
    )
    yield "started, and missed only when their time was over", str(missed(history))
    yield (
        "looked at through another API host",
        _counted(posted.seen for posted in history.posted if posted.seen),
    )
    for outage in outages:
        if outage.cut.part == "api" and outage.cut.from_hosts:
            yield f"answers of {outage.cut.name}", answers(history.posted, outage)
        if back := back_after(history, calls, outage, workers):
            yield (
                f"after {outage.cut.name}",
                ", ".join(f"{name} at work again {_after(back[name])}" for name in back),
            )


def missed(history: History) -> int:
    """Return how many tries nobody made or recorded, though their worker lived, until they were
    found by their deadline.
    """
    margin = timedelta(seconds=DEADLINE_MARGIN_SECONDS)
    attempts = [attempt for story in history.stories.values() for attempt in story.attempts]
    return sum(
        each.outcome == "worker_lost" and each.ended_at - each.started_at >= margin
        for each in attempts
    )


def answers(posted: Sequence[Posted], outage: Outage) -> str:
    """Return what an API host answered while it was cut off from something, and how long the
    slowest answer took.
    """
    asked = [
        each for each in posted if _asks(each, outage) and outage.began < each.at < outage.ended
    ]
    slowest = max((each.took_seconds for each in asked), default=0.0)
    return f"{_counted(each.answer for each in asked)}; the slowest after {slowest:.1f} s"


def back_after(
    history: History, calls: Sequence[Arrival], outage: Outage, workers: Mapping[str, str]
) -> dict[str, float | None]:
    """Return how long after its healing a host did something useful, None for never; of Redis and
    the store, all workers.
    """
    if outage.cut.part == "api":
        ends = [
            each.at + each.took_seconds
            for each in history.posted
            if _asks(each, outage) and each.job_id
        ]
        return {outage.cut.host: _first_after(ends, outage)}
    concerned = [outage.address] if outage.address in workers else list(workers)
    if outage.cut.part == "webhooks":
        return {}
    return {
        workers[address]: _first_after(
            [call.at for call in calls if call.caller == address], outage
        )
        for address in concerned
    }


def _asks(posted: Posted, outage: Outage) -> bool:
    return f"//{outage.address}:" in posted.api


def _first_after(times: Sequence[float], outage: Outage) -> float | None:
    return min((at - outage.ended for at in times if at > outage.ended), default=None)


def _after(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s later"


def _by_host(calls: Sequence[Arrival], workers: Mapping[str, str]) -> str:
    return _counted(workers.get(call.caller, call.caller) for call in calls)


def _counted(words: Iterator[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(Counter(words).items())) or "none"
