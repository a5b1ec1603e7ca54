"""Why Redis, although it answers, can't be used: a sentence that says what to do."""

import re
from collections.abc import Iterable
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from jobs.queue.keys import COUNTERS, HEARTBEATS, NEVER_MADE, SWEEPER, Keys
from jobs.queue.scripts import script

LOGIN = "Redis refuses the user or the password of REDIS_URL. Correct them."
READONLY = "Redis is a replica and refuses to write. Set REDIS_URL to its primary."
OOM = "Redis is out of memory and refuses to write. Raise its maxmemory, or remove what else it holds."
NO_RIGHT = "The Redis user of REDIS_URL lacks a right. Grant it all commands on enrich:* (ACL SETUSER ... ~enrich:* +@all)."
WRONG_TYPE = (
    "Redis holds a value of another type in one of our keys ({}). Delete that key; no job is lost."
)

# The driver has classes for some, and cuts off the first word of those.
CLASSES: dict[type[RedisError], str] = {
    AuthenticationError: LOGIN,
    NoPermissionError: NO_RIGHT,
    OutOfMemoryError: OOM,
    ReadOnlyError: READONLY,
}
FIRST_WORDS = {
    "NOAUTH": LOGIN,
    "WRONGPASS": LOGIN,
    "NOPERM": NO_RIGHT,
    "OOM": OOM,
    "READONLY": READONLY,
    "MISCONF": "Redis can't save to its disk and refuses to write. Free space there, or look at its log.",
    "NOREPLICAS": "Redis has fewer replicas than its min-replicas-to-write, and refuses to write. Start more, or lower that.",
    "MASTERDOWN": "Redis is a replica without its primary. Set REDIS_URL to a primary, or start that one.",
    "LOADING": "Redis is loading its data. Wait until it has.",
    "WRONGTYPE": WRONG_TYPE.format("/readyz names it"),
}
# Not at the beginning alone: the driver puts the command before what a pipeline meets.
CODES = re.compile(rf"\b({'|'.join(FIRST_WORDS)})\b")


class WrongTypeError(ResponseError):  # type: ignore[misc]  # the stubs have no class
    """A key of ours holds what we did not put there."""

    def __init__(self, key: str) -> None:
        super().__init__(f"WRONGTYPE {key}")
        self.key = key


def refusal(error: BaseException | None) -> str:
    """Return what Redis refuses and what to do; empty for one that is away, and for any other
    error.
    """
    if isinstance(error, WrongTypeError):
        return WRONG_TYPE.format(error.key)
    if not isinstance(error, RedisError):
        return ""
    for class_, sentence in CLASSES.items():
        if isinstance(error, class_):
            return sentence
    words = str(error)
    if (
        "ACL failure" in words or "can't run this command" in words
    ):  # what a script says of its user
        return NO_RIGHT
    found = CODES.search(words)
    return FIRST_WORDS[found[0]] if found else ""


def is_wrong_type(error: BaseException) -> bool:
    return "WRONGTYPE" in str(error)


def require_usable(client: Any, vendors: Iterable[str] = ()) -> None:
    """See that Redis lets workers work, and what the keys of these vendors hold. Raises
    redis.RedisError.
    """
    types = {HEARTBEATS: "zset", SWEEPER: "string", COUNTERS: "hash"}
    for vendor in vendors:
        keys = Keys(vendor)
        types |= dict.fromkeys((keys.jobs, keys.retries, keys.freed), "stream")
        types |= {keys.log: "list", keys.in_flight: "zset", keys.state: "hash"}
        types |= dict.fromkeys((keys.intact_since, keys.pause, keys.rebuilder), "string")
    if key := script("check_access")(
        keys=[NEVER_MADE, *types], args=[*types.values()], client=client
    ):
        raise WrongTypeError(key)
