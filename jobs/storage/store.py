"""How the store is written to, how long threads wait for it, and what it raises when it is away."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from threading import RLock

import pymongo
from django.db import DataError, Error, IntegrityError, OperationalError, connection, transaction
from pymongo.errors import BulkWriteError, OperationFailure, PyMongoError

# MongoDB's backend lets some errors of its driver through: those raised while a result is read.
STORE_ERRORS = (Error, PyMongoError)

# MongoDB's codes for a document that it will never take: bad value, failed validation, too large,
# duplicate key.
REFUSAL_CODES = {2, 121, 10334, 11000, 17280, 17419, 17420}

MIN_TIMEOUT_SECONDS = 0.01  # pymongo takes 0 as no timeout
DEFAULT_TIMEOUT_SECONDS = 20.0  # if the store's settings have none
_give_up_at: ContextVar[float | None] = ContextVar("give_up_at", default=None)

# SQLite has one writer. With many waiting, some would wait for ten seconds while the file is free
# most of the time. So the threads of a process take turns, and the one whose turn it is checks the
# file's lock every millisecond (enrichlabs/sqlite/base.py).
_turn = RLock()


def refuses(error: Exception) -> bool:
    """Return whether the store has answered that it can't keep what it was given. If not, one of
    STORE_ERRORS means that it is away.
    """
    cause = error if isinstance(error, PyMongoError) else error.__cause__
    if isinstance(cause, BulkWriteError):
        codes = {each["code"] for each in cause.details["writeErrors"]}
        return bool(codes) and codes <= REFUSAL_CODES
    if isinstance(cause, OperationFailure):
        return cause.code in REFUSAL_CODES
    return isinstance(error, (DataError, IntegrityError))


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Within, wait for the store for that long in total, instead of as long as its settings say.

    What takes longer raises one of STORE_ERRORS. A commit in progress is waited for, since its
    outcome is unknown until it ends. Within another patience, the one that ends first counts.
    """
    seconds = max(seconds, MIN_TIMEOUT_SECONDS)
    give_up_at = time.monotonic() + seconds
    token = _give_up_at.set(min(give_up_at, _give_up_at.get() or give_up_at))
    try:
        with pymongo.timeout(seconds):
            yield
    finally:
        _give_up_at.reset(token)


def seconds_left() -> float:
    """Return how long this thread may still wait for the store."""
    options = connection.settings_dict["OPTIONS"]
    timeout_seconds = float(options.get("timeout", DEFAULT_TIMEOUT_SECONDS))
    give_up_at = _give_up_at.get()
    if give_up_at is None:
        return timeout_seconds
    return min(timeout_seconds, max(give_up_at - time.monotonic(), MIN_TIMEOUT_SECONDS))


@contextmanager
def writing() -> Iterator[None]:
    """Commit the writes within together. (On MongoDB each is a commit of its own: callers must be
    correct without a transaction.)

    Raises OperationalError if the store stays locked for longer than its timeout or our patience.
    """
    # Inside a transaction it is this thread's turn already. Waiting for another thread, which
    # waits for this one, would be a deadlock.
    takes_turn = connection.vendor == "sqlite" and not connection.in_atomic_block
    with _own_turn() if takes_turn else nullcontext(), transaction.atomic():
        yield


@contextmanager
def _own_turn() -> Iterator[None]:
    if not _turn.acquire(timeout=seconds_left()):
        raise OperationalError("database is locked: other threads of this process wait for it")
    try:
        yield
    finally:
        _turn.release()
