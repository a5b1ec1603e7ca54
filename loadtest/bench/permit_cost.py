"""The cost of a permit: the client's time and Redis' CPU, each library in turn."""

import statistics
import time
from dataclasses import dataclass
from typing import Any

import redis

from loadtest.bench.permits import VENDOR, Limits, Permits, PyrateLimiter, Take, WithJobs, our_take

LIMITS = "100000/s, 500000/min, 1000000/day"  # never reached
SHARED = ("one", "two", "three")
GROUPS = "take, three shared limits"
CALLS = {1: 200, 100: 20}  # calls in a round, by how many permits each asks for


@dataclass(frozen=True)
class Cost:
    """Microseconds per permit: by the client's clock, and of Redis' CPU."""

    us: float
    redis_cpu_us: float


def costs(
    client: "redis.Redis", url: str, *, rounds: int, starts: int
) -> dict[str, dict[int, list[Cost]]]:
    """Return the costs of each round, by library and by how many permits a call asked for.

    The logs hold `starts` starts of the last day.
    """
    client.flushdb()
    hits, rates = Limits(url, LIMITS), PyrateLimiter(url, LIMITS)
    ours, groups = our_take(LIMITS), our_take(LIMITS, SHARED)
    _remember_a_day(client, starts, groups, hits, rates)
    ways: dict[str, Permits] = {
        "take": ours,
        GROUPS: groups,
        "limits": hits,
        "limits, then the jobs": WithJobs(hits, client),
        "pyrate-limiter": rates,
        "pyrate-limiter, then the jobs": WithJobs(rates, client),
    }
    found: dict[str, dict[int, list[Cost]]] = {
        name: {count: [] for count in CALLS} for name in ways
    }
    for _ in range(rounds):
        for count, calls in CALLS.items():
            for name, permits in ways.items():
                permits.queue(count * calls)
                found[name][count].append(_cost(client, permits, count, calls))
            for our in (ours, groups):
                our.settle()
    return found


def _remember_a_day(
    client: "redis.Redis", starts: int, ours: Take, hits: Limits, rates: PyrateLimiter
) -> None:
    at = [time.time() - 86_400 * (number + 1) / (starts + 1) for number in range(starts)]
    ours.remember([int(start * 1e6) for start in at])
    for permits in (hits, rates):
        permits.ask(1)  # creates their keys
    for key in client.scan_iter("LIMITS:*"):
        client.rpush(key, *at)
    client.zadd(VENDOR, {f"call:{number}": int(start * 1000) for number, start in enumerate(at)})


def _cost(client: "redis.Redis", permits: Permits, count: int, calls: int) -> Cost:
    seconds = []
    cpu_seconds = _cpu_seconds(client)
    for _ in range(calls):
        since = time.perf_counter()
        granted, _ = permits.ask(count)
        seconds.append(time.perf_counter() - since)
        if granted != count:
            raise AssertionError(f"{granted} permits instead of {count}")
    used = _cpu_seconds(client) - cpu_seconds
    return Cost(statistics.median(seconds) * 1e6 / count, used * 1e6 / calls / count)


def _cpu_seconds(client: "redis.Redis") -> float:
    usage: dict[str, Any] = client.info("cpu")
    return float(usage["used_cpu_user_main_thread"] + usage["used_cpu_sys_main_thread"])
