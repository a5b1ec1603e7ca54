"""The database backend in DATABASES: Django's, which refuses to use a file that was removed or
replaced, and waits for locks in Python.

SQLite keeps writing to a file that was removed, and those commits are lost with the last process
that has it open. Three stat calls per commit, or per statement outside a transaction, cost 4 µs.

A connection that waits for a lock inside SQLite holds its mutex. The garbage collector of any
thread may have to reset a cursor of that connection, and waits for the mutex. If that thread holds
the lock, both wait until the timeout. So connections wait in Python instead.
"""

import os
import sqlite3
import time
from threading import Lock
from typing import Any
from weakref import WeakSet

from django.db import OperationalError
from django.db.backends.sqlite3 import base

GONE = "the file of the store was removed, moved or replaced while it was in use"

# The log and its index belong to the file: processes that have different ones open don't see each
# other's writes.
SUFFIXES = ("", "-wal", "-shm")

CHECK_INTERVAL_SECONDS = 0.001  # while waiting for a lock

Identity = tuple[int, int]

# The file at each path when this process first opened it. A new connection must not open, or
# create, another one.
_first_opened: dict[str, Identity] = {}

# All connections of this process. SQLite gives a new connection a new log if the log was removed,
# although the others still write to the old one.
_connections: "WeakSet[DatabaseWrapper]" = WeakSet()
_connections_lock = Lock()


class Cursor(base.SQLiteCursorWrapper):
    """Waits for a locked file, within our patience, before a statement outside a transaction."""

    def execute(self, query: str, params: Any = None) -> Any:
        try:
            return super().execute(query, params)
        except sqlite3.OperationalError as error:
            if not self._may_wait(error):
                raise
        from jobs.storage.store import seconds_left  # here: it needs the settings

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
        _require_same_files_as_others(path)
        connection = super().get_new_connection(conn_params)
        connection.execute("PRAGMA busy_timeout = 0")
        # No other connection removes the log while this one is open.
        found = {f"{path}{suffix}": _identity(f"{path}{suffix}") for suffix in SUFFIXES}
        self._opened = [(path, identity) for path, identity in found.items() if identity]
        if identity := found[path]:
            _first_opened.setdefault(path, identity)
        with _connections_lock:
            _connections.add(self)
        return connection

    def create_cursor(self, name: str | None = None) -> Any:
        if not self.in_atomic_block:
            self._require_same_files()
        return self.connection.cursor(factory=Cursor)

    def _close(self) -> None:
        # First: SQLite removes the log as it closes the last connection to a file.
        with _connections_lock:
            _connections.discard(self)
        super()._close()  # type: ignore[misc]  # the stubs leave it out

    def _commit(self) -> None:
        # As late as possible: if the file is removed after this, the commit was stored.
        self._require_same_files()
        super()._commit()  # type: ignore[misc]  # the stubs leave it out

    def _require_same_files(self) -> None:
        if not self.has_same_files():
            raise OperationalError(GONE)

    def opens(self, path: str) -> bool:
        return any(opened == path for opened, _ in self._opened)

    def has_same_files(self) -> bool:
        """Whether the files at our paths are those that this connection has open."""
        return all(_identity(path) == identity for path, identity in self._opened)


def _require_same_files_as_others(path: str) -> None:
    with _connections_lock:
        if any(each.opens(path) and not each.has_same_files() for each in _connections):
            raise OperationalError(GONE)


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
