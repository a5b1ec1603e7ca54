"""Why Redis answers but can't be used, and the remedy."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from jobs.queue.keys import ACCESS_PROBE, ENDED, HEARTBEATS, ORDERS, SWEEPER, WORKERS
from jobs.queue.redis import script

LOGIN = "Redis refuses the user or the password of REDIS_URL. Correct them."
READONLY = "Redis is a replica and refuses to write. Set REDIS_URL to its primary."
OOM = "Redis is out of memory and refuses to write. Raise its maxmemory, or delete other data."
NO_PERMISSION = (
    "The Redis user of REDIS_URL lacks a permission. "
    "Grant it all commands on enrich:* (ACL SETUSER ... ~enrich:* +@all)."
)
WRONG_TYPE = (
    "Redis holds a value of the wrong type in a key of this service ({}). "
    "Delete that key; no job is lost."
)
MISCONF = "Redis can't save to its disk and refuses to write. Free disk space, or check its log."
NOREPLICAS = (
    "Redis has fewer replicas than its min-replicas-to-write, and refuses to write. "
    "Start more replicas, or lower that setting."
)
MASTERDOWN = "Redis is a replica without a primary. Set REDIS_URL to a primary, or start it."
LOADING = "Redis is loading its data. Wait until it has finished."

# redis-py turns some errors into classes and cuts off their first word.
CLASSES: dict[type[RedisError], str] = {
    AuthenticationError: LOGIN,
    NoPermissionError: NO_PERMISSION,
    OutOfMemoryError: OOM,
    ReadOnlyError: READONLY,
}
FIRST_WORDS = {
    "NOAUTH": LOGIN,
    "WRONGPASS": LOGIN,
    "NOPERM": NO_PERMISSION,
    "OOM": OOM,
    "READONLY": READONLY,
    "MISCONF": MISCONF,
    "NOREPLICAS": NOREPLICAS,
    "MASTERDOWN": MASTERDOWN,
    "LOADING": LOADING,
    "WRONGTYPE": WRONG_TYPE.format("/readyz names it"),
}
# Anywhere in the text: in a pipeline, redis-py puts the command before the error.
CODES = re.compile(rf"\b({'|'.join(FIRST_WORDS)})\b")
# How a script reports an ACL error.
SCRIPT_ACL_ERRORS = ("ACL failure", "can't run this command")


class WrongTypeError(ResponseError):  # type: ignore[misc]  # the stubs have no class
    """A key of this service holds a value of the wrong type."""

    def __init__(self, key: str) -> None:
        super().__init__(f"WRONGTYPE {key}")
        self.key = key


def refusal(error: BaseException | None) -> str:
    """Return what Redis refuses and the remedy; '' if it does not answer, or for other errors."""
    if isinstance(error, WrongTypeError):
        return WRONG_TYPE.format(error.key)
    if not isinstance(error, RedisError):
        return ""
    for class_, sentence in CLASSES.items():
        if isinstance(error, class_):
            return sentence
    text = str(error)
    if any(words in text for words in SCRIPT_ACL_ERRORS):
        return NO_PERMISSION
    found = CODES.search(text)
    return FIRST_WORDS[found[0]] if found else ""


def is_wrong_type(error: BaseException) -> bool:
    return "WRONGTYPE" in str(error)


def require_usable(client: Any, of_vendors: Mapping[str, str] = MappingProxyType({})) -> None:
    """Check that Redis takes a worker's commands and that the keys that all vendors share, and
    those of some, have the right types. Raises redis.RedisError.
    """
    types = {HEARTBEATS: "zset", SWEEPER: "string", ENDED: "stream", **of_vendors}
    types |= {WORKERS: "hash", ORDERS: "hash"}
    keys_and_probe = [ACCESS_PROBE, *types]
    if key := script("check_access")(keys=keys_and_probe, args=[*types.values()], client=client):
        raise WrongTypeError(key)
