"""The backend that DATABASES names: Django's, which refuses to go on with a file that is no longer where it was opened.

SQLite keeps writing to a file that was removed, and what is committed there is lost with the last process that has it open.
Three calls of stat for a commit, or for a statement outside a transaction, cost some 4 µs.
"""

import os
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

GONE = "the file of the store was removed, moved or replaced while it was in use"

# The log and its index belong to the file: a process that has them open and one that has made them anew don't see each other.
SUFFIXES = ("", "-wal", "-shm")

Identity = tuple[int, int]

# Which file each path led to when this process first opened it: a new connection must not open, or create, another one.
_first_opened: dict[str, Identity] = {}


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: Any) -> Any:
        path = os.path.realpath(self.settings_dict["NAME"])
        if path in _first_opened and _identity(path) != _first_opened[path]:
            raise OperationalError(GONE)
        connection = super().get_new_connection(conn_params)
        # As long as a connection is open, no other one removes the log.
        found = {f"{path}{suffix}": _identity(f"{path}{suffix}") for suffix in SUFFIXES}
        self._opened = [(path, identity) for path, identity in found.items() if identity]
        if identity := found[path]:
            _first_opened.setdefault(path, identity)
        return connection

    def create_cursor(self, name: str | None = None) -> Any:
        if not self.in_atomic_block:
            self._require_same_files()
        return super().create_cursor(name)

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
