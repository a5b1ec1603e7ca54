"""Hands functions from any thread to the one thread that may run them."""

import select
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from selectors import EVENT_READ, BaseSelector
from typing import Any, TypeVar

T = TypeVar("T")

TIMEOUT_SECONDS = 10.0


class Commands:
    def __init__(self, selector: BaseSelector) -> None:
        self._pending: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._waker, self._woken = socket.socketpair()
        selector.register(self._woken, EVENT_READ, lambda _: self.run_pending())

    def run(self, command: Callable[[], T]) -> T:
        """Have the owner's thread run a command; returns its result. Raises its OSError."""
        future: Future[T] = Future()
        self._pending.append((command, future))
        self._waker.send(b"!")
        return future.result(TIMEOUT_SECONDS)

    def run_pending(self, wait_seconds: float = 0.0) -> None:
        """Run what is pending. Called by the owner's thread."""
        if wait_seconds:
            select.select([self._woken], [], [], wait_seconds)
        while self._pending:
            self._woken.recv(1)
            command, future = self._pending.popleft()
            try:
                future.set_result(command())
            except OSError as error:
                future.set_exception(error)

    def close(self) -> None:
        self._waker.close()
        self._woken.close()
