"""The backend that DATABASES names: Django's, which refuses to go on with a file that is no longer
where it was opened, and waits for a lock in Python.

SQLite keeps writing to a file that was removed, and what is committed there is lost with the last
process that has it open. Three calls of stat for a commit, or for a statement outside a
transaction, cost some 4 µs.

A connection that waits inside SQLite holds its mutex. Python's garbage collector, in whichever
thread it happens to run, may have to reset a cursor of that connection, and waits for the mutex: if
that thread has the lock that is waited for, both stand still until the time-out. So no connection
waits there.
"""

import os
import sqlite3
import time
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

GONE = "the file of the store was removed, moved or replaced while it was in use"

# The log and its index belong to the file: a process that has them open and one that has made them
# anew don't see each other.
SUFFIXES = ("", "-wal", "-shm")

CHECK_INTERVAL_SECONDS = 0.001  # between two looks whether a lock is free

Identity = tuple[int, int]

# Which file each path led to when this process first opened it: a new connection must not open, or
# create, another one.
_first_opened: dict[str, Identity] = {}


class Cursor(base.SQLiteCursorWrapper):
    """Waits for a locked file as long as our patience says, before a statement that is not part of
    a transaction.
    """

    def execute(self, query: str, params: Any = None) -> Any:
        try:
            return super().execute(query, params)
        except sqlite3.OperationalError as error:
            if not self._may_wait(error):
                raise
        from jobs.storage.store import seconds_left  # only now: it needs the settings

        give_up_at = time.monotonic() + seconds_left()
        while True:
            time.sleep(CHECK_INTERVAL_SECONDS)
            try:
                return super().execute(query, params)
            except sqlite3.OperationalError as error:
                if not self._may_wait(error) or time.monotonic() > give_up_at:
                    raise

    def _may_wait(self, error: sqlite3.OperationalError) -> bool:
        return "locked" in str(error) and not self.connection.in_transaction


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: Any) -> Any:
        path = os.path.realpath(self.settings_dict["NAME"])
        if path in _first_opened and _identity(path) != _first_opened[path]:
            raise OperationalError(GONE)
        connection = super().get_new_connection(conn_params)
        connection.execute("PRAGMA busy_timeout = 0")
        # As long as a connection is open, no other one removes the log.
        found = {f"{path}{suffix}": _identity(f"{path}{suffix}") for suffix in SUFFIXES}
        self._opened = [(path, identity) for path, identity in found.items() if identity]
        if identity := found[path]:
            _first_opened.setdefault(path, identity)
        return connection

    def create_cursor(self, name: str | None = None) -> Any:
        if not self.in_atomic_block:
            self._require_same_files()
        return self.connection.cursor(factory=Cursor)

    def _commit(self) -> None:
        # The last moment at which nothing is stored yet: what is removed later had been stored.
        self._require_same_files()
        super()._commit()  # type: ignore[misc]  # the stubs leave it out

    def _require_same_files(self) -> None:
        if any(_identity(path) != identity for path, identity in self._opened):
            raise OperationalError(GONE)


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
