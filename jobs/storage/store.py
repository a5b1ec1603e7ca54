"""How we write to the store, how long we wait for it, and what it raises when it is away.

On SQLite one thread of a process writes at a time, and none sleeps for long.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from threading import RLock

import pymongo
from django.db import DataError, Error, IntegrityError, OperationalError, connection, transaction
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

# MongoDB's backend lets some of its driver's own errors through: those that come while a result is
# read.
STORE_ERRORS = (Error, PyMongoError)

# What MongoDB answers when it is there, and will never take this document: a bad value, not as a
# validator wants it, too large.
REFUSAL_CODES = {2, 121, 10334, 11000, 17280, 17419, 17420}

# SQLite lets one writer in. With many that wait, some would wait for ten seconds while the file is
# free most of the time. So the threads of a process take turns, and whose turn it is looks every
# millisecond (enrichlabs/sqlite/base.py).
MIN_SECONDS = 0.01  # for pymongo, 0 would mean for ever
MAX_SECONDS = 20.0  # where the settings of the store name no time-out
_turn = RLock()
_give_up_at: ContextVar[float | None] = ContextVar("give_up_at", default=None)


def refuses(error: Exception) -> bool:
    """Whether the store has answered that it can't keep what it was given; else one of STORE_ERRORS
    says that it is away.
    """
    cause = error if isinstance(error, PyMongoError) else error.__cause__
    if isinstance(cause, BulkWriteError):
        faults = cause.details["writeErrors"]
        return bool(faults) and all(fault["code"] in REFUSAL_CODES for fault in faults)
    if isinstance(cause, OperationFailure):
        return cause.code in REFUSAL_CODES
    return isinstance(error, (DataError, IntegrityError))


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Wait for the store that long at the most, for all that is done within, instead of as long as
    the settings say.

    What takes longer raises one of STORE_ERRORS. A commit under way is waited for: nobody can tell
    what became of it.
    """
    seconds = max(seconds, MIN_SECONDS)
    token = _give_up_at.set(time.monotonic() + seconds)
    try:
        with pymongo.timeout(seconds):
            yield
    finally:
        _give_up_at.reset(token)


def seconds_left() -> float:
    """Return how long this thread may still wait for the store."""
    at_most = _timeout_seconds()
    give_up_at = _give_up_at.get()
    return (
        at_most
        if give_up_at is None
        else min(at_most, max(give_up_at - time.monotonic(), MIN_SECONDS))
    )


@contextmanager
def writing() -> Iterator[None]:
    """Make the writes within in one commit. (On MongoDB each is its own; whoever writes must be
    right without.)

    Raises OperationalError where the store is locked for longer than its time-out, or than our
    patience.
    """
    with ExitStack() as stack:
        # Inside a transaction it is our turn already; to wait for another thread, which waits for
        # us, would be a deadlock.
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            _enter_soon(stack)
        else:
            stack.enter_context(transaction.atomic())
        yield


def _enter_soon(stack: ExitStack) -> None:
    if not _turn.acquire(timeout=seconds_left()):
        raise OperationalError(
            "database is locked: other threads of this process wait for it already"
        )
    stack.callback(_turn.release)
    stack.enter_context(transaction.atomic())


def _timeout_seconds() -> float:
    return float(connection.settings_dict["OPTIONS"].get("timeout", MAX_SECONDS))
