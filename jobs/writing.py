"""One commit for several writes; on SQLite, one writer of this process at a time, and none that sleeps for long."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import RLock

from django.db import OperationalError, connection, transaction

# SQLite lets one writer in, and those that wait look again after growing pauses of up to 100 ms: with many of them, some
# wait for ten seconds while the file is free most of the time. So the threads of a process take turns, and whose turn it is
# looks every millisecond.
LOOK_SECONDS = 0.001
_turn = RLock()


@contextmanager
def writing() -> Iterator[None]:
    """Make the writes within in one commit. (On MongoDB each is its own; whoever writes must be right without.)

    Raises OperationalError where the store is locked for longer than its time-out.
    """
    with ExitStack() as stack:
        # Inside a transaction it is our turn already; to wait for another thread, which waits for us, would be a deadlock.
        if connection.vendor == "sqlite" and not connection.in_atomic_block:
            stack.enter_context(_turn)
            _enter_soon(stack)
        else:
            stack.enter_context(transaction.atomic())
        yield


def _enter_soon(stack: ExitStack) -> None:
    timeout_seconds = connection.settings_dict["OPTIONS"]["timeout"]
    give_up_at = time.monotonic() + timeout_seconds
    _wait_inside_sqlite(0)
    try:
        while True:
            try:
                stack.enter_context(transaction.atomic())
            except OperationalError:
                if time.monotonic() > give_up_at:
                    raise
                time.sleep(LOOK_SECONDS)
            else:
                return
    finally:
        _wait_inside_sqlite(timeout_seconds)


def _wait_inside_sqlite(seconds: float) -> None:
    connection.ensure_connection()
    connection.connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
