"""Counts operations of the store and Redis, so that a cost per batch can't become one per job."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any
from unittest.mock import patch

from django.db import connection
from pymongo.monitoring import CommandListener, CommandStartedEvent
from redis.connection import AbstractConnection


class Recorder(CommandListener):
    """Records the names of MongoDB's commands."""

    def __init__(self, asked: list[str]) -> None:
        self._asked = asked

    def started(self, event: CommandStartedEvent) -> None:
        if event.command_name != "endSessions":  # sent when the counting ends
            self._asked.append(event.command_name)

    def succeeded(self, event: object) -> None:
        """It was recorded when it started."""

    failed = succeeded


@contextmanager
def asking_the_store() -> Iterator[list[str]]:
    """Record this thread's operations of the store: the first word of each SQL statement (which may
    be for many rows), or MongoDB's commands.
    """
    asked: list[str] = []
    if connection.vendor == "mongodb":
        options = connection.settings_dict["OPTIONS"]
        connection.close_pool()
        with patch.dict(options, event_listeners=[Recorder(asked)]):
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
    """Record this thread's round trips to Redis; a pipeline is one.

    In other threads, workers of earlier tests may still listen.
    """
    asked: list[str] = []
    thread = get_ident()
    send = AbstractConnection.send_packed_command

    def keep(self: AbstractConnection, command: Any, *args: Any, **options: Any) -> None:
        if get_ident() == thread:
            asked.append(b"".join(command).decode(errors="replace"))
        send(self, command, *args, **options)

    with patch.object(AbstractConnection, "send_packed_command", keep):
        yield asked
