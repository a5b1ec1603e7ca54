"""Counts what is asked of the store and of Redis, so that a cost per job can't creep in where there
is one per batch.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from django.db import connection
from pymongo.monitoring import CommandListener, CommandStartedEvent
from redis.connection import AbstractConnection


class Heard(CommandListener):
    def __init__(self, asked: list[str]) -> None:
        self._asked = asked

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name != "endSessions":  # our own, when the counting is over
            self._asked.append(event.command_name)

    def succeeded(self, event: object) -> None:
        """It was counted when it began."""

    failed = succeeded


@contextmanager
def asking_the_store() -> Iterator[list[str]]:
    """Give what this thread asks of the store within: statements in SQL, of which one may be for
    many rows, or commands.
    """
    asked: list[str] = []
    if connection.vendor == "mongodb":
        options = connection.settings_dict["OPTIONS"]
        connection.close_pool()
        with patch.dict(options, event_listeners=[Heard(asked)]):
            connection.connect()
            asked.clear()
            yield asked
            connection.close_pool()
        return

    def keep(execute: Callable[..., Any], statement: str, *rest: Any) -> Any:
        asked.append(statement.partition(" ")[0])
        return execute(statement, *rest)

    with connection.execute_wrapper(keep):
        yield asked


@contextmanager
def asking_redis() -> Iterator[list[str]]:
    """Give the round trips to Redis within, of all threads; what is sent in one pipeline is one."""
    asked: list[str] = []
    send = AbstractConnection.send_packed_command

    def keep(self: AbstractConnection, command: Any, *args: Any, **options: Any) -> None:
        asked.append(b"".join(command).decode(errors="replace"))
        send(self, command, *args, **options)

    with patch.object(AbstractConnection, "send_packed_command", keep):
        yield asked
