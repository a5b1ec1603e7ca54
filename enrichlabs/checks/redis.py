"""Whether Redis can be used and keeps its data. It is asked by INFO, since managed services often
forbid CONFIG.
"""

import time
from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from redis import RedisError

from enrichlabs.standalone import preflight
from enrichlabs.standalone.preflight import REDIS_CLUSTER, REDIS_ERRORS, TIMEOUT_SECONDS
from jobs.queue.redis import connect

MAX_CLOCK_DIFFERENCE_SECONDS = 1.5
AWAY = "enrichlabs.W021"
TOO_OLD = "enrichlabs.E022"
CLUSTER = "enrichlabs.E023"
EVICTS = "enrichlabs.W024"
NOT_PERSISTENT = "enrichlabs.W025"
CLOCKS_DIFFER = "enrichlabs.W026"
REFUSES = "enrichlabs.W027"


def check_server() -> list[CheckMessage]:
    try:
        client = connect(TIMEOUT_SECONDS)
        info = client.info("server", "memory", "persistence")
        difference_seconds = _clock_difference_seconds(client)
    except REDIS_ERRORS as error:
        fault = preflight.explain_redis_error(error)
        return [Warning(fault.problem, hint=f"{fault.remedy} {preflight.JOBS_WAIT}", id=AWAY)]
    return [
        *(_check_version(info) or _check_refusal(client)),
        *_check_eviction(info),
        *_check_persistence(info),
        *_check_clocks(difference_seconds),
    ]


def _check_version(info: dict[str, Any]) -> list[CheckMessage]:
    fault = preflight.redis_server_fault(info)
    if not fault:
        return []
    id = CLUSTER if fault == REDIS_CLUSTER else TOO_OLD
    return [Error(fault.problem, hint=fault.remedy, id=id)]


def _clock_difference_seconds(client: Any) -> float:
    """Return how far the clock of Redis is ahead of ours."""
    started_at = time.time()
    seconds, microseconds = client.time()
    return float(seconds + microseconds / 1e6 - (started_at + time.time()) / 2)


def _check_refusal(client: Any) -> list[CheckMessage]:
    try:
        fault = preflight.redis_refusal(client)
    except RedisError as error:
        fault = preflight.explain_redis_error(error)
    return [Warning(fault.problem, hint=fault.remedy, id=REFUSES)] if fault else []


def _check_eviction(info: dict[str, Any]) -> list[CheckMessage]:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return []
    when = "when its memory is full" if info.get("maxmemory") else "once maxmemory is set"
    return [
        Warning(
            f"Redis evicts keys (maxmemory-policy {policy}) {when}: queues and limits are then "
            "rebuilt each time.",
            hint="Set maxmemory-policy noeviction. A full Redis then refuses writes, and jobs wait "
            "in the store.",
            id=EVICTS,
        )
    ]


def _check_persistence(info: dict[str, Any]) -> list[CheckMessage]:
    if info.get("aof_enabled"):
        return []
    return [
        Warning(
            "Redis keeps no append-only file: a restart empties its queues, and waiting jobs are "
            "delayed until they are queued again.",
            hint="Set appendonly yes (in a managed service: AOF persistence).",
            id=NOT_PERSISTENT,
        )
    ]


def _check_clocks(difference_seconds: float) -> list[CheckMessage]:
    if abs(difference_seconds) <= MAX_CLOCK_DIFFERENCE_SECONDS:
        return []
    direction = "ahead of" if difference_seconds > 0 else "behind"
    return [
        Warning(
            f"The clock of Redis is {abs(difference_seconds):.1f} s {direction} this machine's: "
            "limits follow one clock, deadlines the other.",
            hint="Synchronize both with NTP.",
            id=CLOCKS_DIFFER,
        )
    ]
