"""The cost of a permit, the memory of a vendor's limits, and whether the limits hold: EnrichLabs,
`limits` and `pyrate-limiter`.

`take` returns jobs with its permits and marks them in flight, whereas the libraries return only
permits. So each library is measured again with jobs read from a stream. All use one Valkey in turn,
and the ratios are those of each round.
"""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import redis

from chaos.witness import worst_window
from loadtest.bench.apart import apart
from loadtest.bench.permit_cost import GROUPS, Cost, costs
from loadtest.bench.permits import VENDOR, Limits, Permits, PyrateLimiter, our_take
from loadtest.bench.race import Race, ask, clock, most_within
from loadtest.bench.results import Line, Table
from loadtest.bench.service import valkey

USUAL = "10/s, 500/min, 20000/day"
STARTS = 20_000  # a full day of it
CALLS = 20  # a second, for which clients race
BEHIND_SECONDS = 0.2
TWO = "5/s, 10/4 s"
LOG = f"enrich:{{{VENDOR}}}:log"


def measure(folder: Path, quick: bool) -> Table:
    with valkey(folder) as sock:
        return apart(_measure, folder, f"unix://{sock}", quick)


def _measure(folder: Path, url: str, quick: bool) -> Table:
    os.environ.update(ENRICHLABS_DATA=str(folder), REDIS_URL=url)
    client = redis.Redis.from_url(url, decode_responses=True)
    rounds, seconds = (3, 2.0) if quick else (9, 6.0)
    cost = costs(client, url, rounds=rounds, starts=STARTS)
    bytes_used = _memory(client, url)
    with Race() as race:
        most = {
            behind: _most(race, client, url, seconds, behind) for behind in (0.0, BEHIND_SECONDS)
        }
    needless = _needlessly_charged(client, url, seconds)
    lines = [*_cost_lines(cost), *_memory_lines(bytes_used)]
    lines += [line for behind, found in most.items() for line in _most_lines(found, behind)]
    lines += [
        Line(f"charged for calls that were refused ({TWO}), {name}", str(found), aim="0")
        for name, found in needless.items()
    ]
    raw_costs = {
        name: {count: [asdict(each) for each in rounds] for count, rounds in way.items()}
        for name, way in cost.items()
    }
    raw = {"costs": raw_costs, "bytes": bytes_used, "most": most, "needless": needless}
    return Table(f"Permits under three limits, {STARTS:,} starts in the log", lines, raw)


def _cost_lines(found: dict[str, dict[int, list[Cost]]]) -> list[Line]:
    """For 100 jobs the libraries are asked one by one, so that as many start as are allowed. The
    cost of all-or-none requests is shown as well.
    """
    ours, groups = found["take"], found[GROUPS]
    peers = {name: way for name, way in found.items() if name not in ("take", GROUPS)}
    return [
        _cost_line("a job: take", ours[1]),
        _cost_line(f"a job: {GROUPS}", groups[1], ours[1], "at most 1.5 x"),
        *(_cost_line(f"a job: {name}", way[1], ours[1]) for name, way in peers.items()),
        _cost_line("each of 100 jobs: take", ours[100]),
        _cost_line(f"each of 100 jobs: {GROUPS}", groups[100], ours[100], "at most 1.5 x"),
        *(
            _cost_line(f"each of 100 jobs: {name}, one by one", way[1], ours[100])
            for name, way in peers.items()
        ),
        *(
            _cost_line(f"each of 100 jobs: {name}, all or none", way[100], ours[100], "")
            for name, way in peers.items()
        ),
    ]


def _cost_line(
    what: str, of_library: Sequence[Cost], ours: Sequence[Cost] = (), aim: str = "1 x"
) -> Line:
    us = statistics.median(cost.us for cost in of_library)
    cpu_us = statistics.median(cost.redis_cpu_us for cost in of_library)
    figure = f"{us:.1f} us, {cpu_us:.1f} us of Redis' CPU"
    if not ours:
        return Line(what, figure)
    times = statistics.median(
        theirs.us / own.us for theirs, own in zip(of_library, ours, strict=True)
    )
    cpu_times = statistics.median(
        theirs.redis_cpu_us / own.redis_cpu_us for theirs, own in zip(of_library, ours, strict=True)
    )
    return Line(what, figure, f"take is {times:.2f} x as fast, {cpu_times:.2f} x in CPU", aim)


def _memory(client: "redis.Redis", url: str) -> dict[str, int]:
    """Return the bytes of all keys of a vendor after a full day, by library."""
    now = time.time()
    starts = [now - 86_000 * number / STARTS for number in range(STARTS)]  # newest first
    client.flushdb()
    our_take(USUAL).remember([int(start * 1e6) for start in starts])
    used = {"take": _bytes(client)}
    for name, make in (("limits", Limits), ("pyrate-limiter", PyrateLimiter)):
        client.flushdb()
        permits = make(url, USUAL)
        for start in reversed(starts[::10]):
            with clock(time.time() - start):
                permits.ask(10)
        used[name] = _bytes(client)
    return used


def _bytes(client: "redis.Redis") -> int:
    return sum(client.memory_usage(key, samples=0) or 0 for key in client.scan_iter(count=1000))


def _memory_lines(used: dict[str, int]) -> list[Line]:
    ratios = {
        name: "" if name == "take" else f"{of_library / used['take']:.1f} x take"
        for name, of_library in used.items()
    }
    return [
        Line(f"memory of {USUAL}, {name}", f"{used[name] / 1024:.0f} KiB", ratio)
        for name, ratio in ratios.items()
    ]


def _makers(url: str, limits: str) -> dict[str, Callable[[], Permits]]:
    return {
        "take": partial(our_take, limits),
        "limits": partial(Limits, url, limits),
        "pyrate-limiter": partial(PyrateLimiter, url, limits),
    }


def _begin(client: "redis.Redis", limits: str) -> None:
    client.flushdb()
    ours = our_take(limits)
    ours.remember([])
    ours.queue(2000)


def _most(
    race: Race, client: "redis.Redis", url: str, seconds: float, behind_seconds: float
) -> dict[str, int]:
    """Return the most permits in any second of a race, by library."""
    most = {}
    for name, make in _makers(url, f"{CALLS}/s").items():
        _begin(client, f"{CALLS}/s")
        grants = race.run(make, seconds, behind_seconds)
        charges = sorted(map(int, client.lrange(LOG, 0, -1)))
        most[name] = (
            worst_window(charges, CALLS, 1)[0] if name == "take" else most_within(grants, 1.0)
        )
    return most


def _most_lines(most: dict[str, int], behind_seconds: float) -> list[Line]:
    clocks = f"one clock {behind_seconds} s behind" if behind_seconds else "clocks agree"
    return [
        Line(f"most permits in a second ({CALLS}/s, {clocks}), {name}", str(found), aim=str(CALLS))
        for name, found in most.items()
    ]


def _needlessly_charged(client: "redis.Redis", url: str, seconds: float) -> dict[str, int]:
    """Return how often a limit was charged for a call that another limit refused, by library."""
    needless = {}
    for name, make in _makers(url, TWO).items():
        _begin(client, TWO)
        permits = make()
        granted = len(ask(permits, 2 * seconds))
        if isinstance(permits, Limits):
            needless[name] = permits.needlessly_charged
        else:
            needless[name] = (
                client.llen(LOG) if name == "take" else client.zcard(VENDOR)
            ) - granted
    return needless
