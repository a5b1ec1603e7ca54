"""Checks across hosts, in addition to `chaos.checks`, and how soon a healed host works again."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from chaos.client import Posted
from chaos.cuts import Outage
from chaos.history import Finding, History
from chaos.ledger import Arrival
from chaos.report import Row
from jobs.worker.claim import DEADLINE_MARGIN_SECONDS

MAX_RECOVERY_SECONDS = 15.0  # of a healed host
IN_FLIGHT_SECONDS = 1.0  # a call with a permit and a row arrives within this
LIMITED = "limited"


def calls_of(history: History) -> list[Arrival]:
    return [arrival for story in history.stories.values() for arrival in story.arrivals]


def unknown_elsewhere(history: History) -> Iterator[Finding]:
    """Jobs that one API host accepted and another does not know."""
    for posted in history.posted:
        if posted.seen == "404":
            yield (
                posted.job_id,
                f"accepted by {posted.api}, unknown to another API host",
            )


def blind_calls(history: History, outages: Sequence[Outage]) -> Iterator[Finding]:
    """Calls that a worker began while it could reach neither Redis for a permit nor the store."""
    for outage in outages:
        if outage.cut.part != "workers":
            continue
        for story in history.stories.values():
            for arrival in story.arrivals:
                if (
                    arrival.caller == outage.address
                    and outage.began + IN_FLIGHT_SECONDS < arrival.at < outage.ended
                ):
                    yield (
                        story.job.pk,
                        f"called {arrival.at - outage.began:.1f} s into: {outage.cut.name}",
                    )


def idle(history: History, workers: Mapping[str, str]) -> Iterator[Finding]:
    """Worker hosts that never called a limited vendor. `workers`: names by address."""
    callers = {arrival.caller for arrival in calls_of(history) if arrival.vendor == LIMITED}
    for address, name in workers.items():
        if address not in callers:
            yield "none", f"{name} made no call of {LIMITED}"


def slow_recoveries(
    history: History, outages: Sequence[Outage], workers: Mapping[str, str]
) -> Iterator[Finding]:
    """Hosts that did no useful work for too long after they were healed."""
    calls = calls_of(history)
    for outage in outages:
        for name, seconds in recovery_seconds(history, calls, outage, workers).items():
            if seconds is None or seconds > MAX_RECOVERY_SECONDS:
                yield "none", f"after {outage.cut.name}, {name} worked again {_after(seconds)}"


def rows(history: History, outages: Sequence[Outage], workers: Mapping[str, str]) -> Iterator[Row]:
    calls = calls_of(history)
    yield "calls by host", _by_host(calls, workers)
    yield (
        f"calls of {LIMITED} by host",
        _by_host([call for call in calls if call.vendor == LIMITED], workers),
    )
    yield "attempts missed until their deadline", str(missed(history))
    yield (
        "read through another API host",
        _counted(posted.seen for posted in history.posted if posted.seen),
    )
    for outage in outages:
        if outage.cut.part == "api" and outage.cut.from_hosts:
            yield f"answers of {outage.cut.name}", answers(history.posted, outage)
        if back := recovery_seconds(history, calls, outage, workers):
            yield (
                f"after {outage.cut.name}",
                ", ".join(f"{name} worked again {_after(back[name])}" for name in back),
            )


def missed(history: History) -> int:
    """Return how many attempts a live worker neither made nor recorded until their deadline."""
    margin = timedelta(seconds=DEADLINE_MARGIN_SECONDS)
    attempts = [attempt for story in history.stories.values() for attempt in story.attempts]
    return sum(
        each.outcome == "worker_lost" and each.ended_at - each.started_at >= margin
        for each in attempts
    )


def answers(posted: Sequence[Posted], outage: Outage) -> str:
    """Return an API host's responses during its outage, by status, and the time of the slowest."""
    asked = [
        each for each in posted if _asks(each, outage) and outage.began < each.at < outage.ended
    ]
    slowest = max((each.took_seconds for each in asked), default=0.0)
    return f"{_counted(each.answer for each in asked)}; slowest {slowest:.1f} s"


def recovery_seconds(
    history: History, calls: Sequence[Arrival], outage: Outage, workers: Mapping[str, str]
) -> dict[str, float | None]:
    """Return when each affected host did useful work after it was healed; None for never.

    An outage of Redis or of the store affects all workers.
    """
    if outage.cut.part == "api":
        ends = [
            each.at + each.took_seconds
            for each in history.posted
            if _asks(each, outage) and each.job_id
        ]
        return {outage.cut.host: _first_after(ends, outage)}
    affected = [outage.address] if outage.address in workers else list(workers)
    if outage.cut.part == "webhooks":
        return {}
    return {
        workers[address]: _first_after(
            [call.at for call in calls if call.caller == address], outage
        )
        for address in affected
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
