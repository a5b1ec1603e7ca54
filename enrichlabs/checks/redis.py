"""What Redis must do for us. It is asked by INFO alone: managed services allow that, and forbid
CONFIG.
"""

import time
from typing import Any

from django.core.checks import CheckMessage, Error, Warning
from redis import RedisError

from enrichlabs.standalone.preflight import ANSWER_SECONDS, OLDEST_REDIS
from jobs.queue.redis import connect
from jobs.queue.redis_errors import refusal, require_usable

MAX_APART_SECONDS = 1.5


def of_server() -> list[CheckMessage]:
    try:
        client = connect(ANSWER_SECONDS)
        info = client.info("server", "memory", "persistence")
        began = time.time()
        seconds, microseconds = client.time()
        apart = seconds + microseconds / 1e6 - (began + time.time()) / 2
    except (RedisError, ValueError, OSError) as error:
        return [
            Warning(
                f"Redis does not answer ({type(error).__name__}): jobs are accepted, and none is begun.",
                hint="Start it (script/server starts the embedded one), or correct REDIS_URL.",
                id="enrichlabs.W021",
            )
        ]
    return [*(_unfit(info) or _refusing(client)), *_forgetful(info), *_of_clocks(apart)]


def _unfit(info: dict[str, Any]) -> list[CheckMessage]:
    version = str(info["redis_version"])
    if int(version.partition(".")[0]) < OLDEST_REDIS:
        return [
            Error(
                f"Redis {version} is too old.",
                hint=f"Upgrade it to {OLDEST_REDIS}.0 or newer.",
                id="enrichlabs.E022",
            )
        ]
    if info.get("redis_mode") == "cluster":
        return [
            Error(
                "REDIS_URL leads to a Redis Cluster, but one script touches keys of several slots.",
                hint="Set REDIS_URL to a Redis with one primary.",
                id="enrichlabs.E023",
            )
        ]
    return []


def _refusing(client: Any) -> list[CheckMessage]:
    try:
        require_usable(client)
    except RedisError as error:
        message, _, hint = refusal(error).partition(". ")
        return [
            Warning(
                f"{message or type(error).__name__}: no job is begun.",
                hint=hint,
                id="enrichlabs.W027",
            )
        ]
    return []


def _forgetful(info: dict[str, Any]) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        when = (
            "when its memory is full" if info.get("maxmemory") else "as soon as it has a maxmemory"
        )
        found.append(
            Warning(
                f"Redis drops what it likes (maxmemory-policy {policy}) {when}: queues and limits are made anew each time.",
                hint="Set maxmemory-policy noeviction: a full Redis then refuses to write, and jobs wait in the store.",
                id="enrichlabs.W024",
            )
        )
    if not info.get("aof_enabled"):
        found.append(
            Warning(
                "Redis keeps no append-only file: a restart empties its queues, and all that wait are queued again late.",
                hint="Set appendonly yes (in a managed service: its persistence by AOF).",
                id="enrichlabs.W025",
            )
        )
    return found


def _of_clocks(apart: float) -> list[CheckMessage]:
    if abs(apart) <= MAX_APART_SECONDS:
        return []
    way = "ahead of" if apart > 0 else "behind"
    clock = f"The clock of Redis is {abs(apart):.1f} s {way} the one of this machine"
    return [
        Warning(
            f"{clock}: limits go by the one, deadlines by the other.",
            hint="Have both set by NTP.",
            id="enrichlabs.W026",
        )
    ]
