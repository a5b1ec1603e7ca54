"""A TCP proxy that does to connections what bad networks do; it stands before Redis, a vendor or
the API.

One thread owns every socket: the methods hand it an order, and return when that has been carried
out.
"""

import errno
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ, DefaultSelector
from threading import Thread
from typing import Any, TypeVar

from harness.connection import Ambush, Connection, Flow, close

Address = tuple[str, int] | str  # host and port, or the path of a Unix socket
T = TypeVar("T")

CHUNK = 65536


class Proxy:
    """Listens on 127.0.0.1 at `port` and carries each connection to `target`. Present connections
    are those open now.

    It counts what was done: `accepted`, `dropped` and `half_closed` connections, and
    `replies_lost`. Any thread may call it, but for an act of `before` or `after`: all stands still
    while that is done, and it must not raise.
    """

    def __init__(self, target: Address, port: int = 0) -> None:
        self.target = target
        self.delay_seconds = 0.0  # what comes in from now on goes out that much later, in its order
        self.accepted = self.dropped = self.half_closed = self.replies_lost = 0
        self._connections: set[Connection] = set()
        self._waiting: set[Connection] = set()  # those with something that has yet to go out
        self._ambushes: list[Ambush] = []
        self._stalled_until = 0.0
        self._orders: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._selector = DefaultSelector()
        self._waker, self._woken = socket.socketpair()
        self._selector.register(self._woken, EVENT_READ, self._obey)
        self._holder = _bound(
            port
        )  # never listens: it keeps the port while connections are refused
        self.port: int = self._holder.getsockname()[1]
        self._listener: socket.socket | None = None
        self._listen()
        self._is_open = True
        self._thread = Thread(target=self._run, name=f"proxy-{self.port}", daemon=True)
        self._thread.start()

    @property
    def present(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    def close(self) -> None:
        """End, with a reset of all present connections."""
        if self._is_open:
            self._order(self._stop)
            self._thread.join()

    def drop(self) -> int:
        """Reset all present connections; returns how many there were."""
        return self._order(self._drop)

    def refuse(self) -> None:
        """Refuse connections until `accept`; present ones go on."""
        self._order(self._refuse)

    def accept(self) -> None:
        """Listen again, at the same port."""
        self._order(self._listen)

    def half_close(self, *, silently: bool = True) -> int:
        """Let the clients of all present connections hear nothing more, while what they say is
        still carried.

        Silently, as if the peer were half dead, or else with a proper end of that direction. Never
        closes them; returns how many there were.
        """
        return self._order(partial(self._half_close, silently))

    def stall(self, seconds: float) -> None:
        """Carry nothing either way and greet nobody for that long, then go on; 0 ends a stall."""
        self._order(partial(self._stall, seconds))

    def lose_reply(self, matching: bytes, count: int = 1) -> None:
        """Carry the next `count` chunks with these bytes to the target, and reset their connections
        in place of the reply.
        """
        self._order(partial(self._ambushes.extend, [Ambush(matching, loses_reply=True)] * count))

    def before(self, matching: bytes, act: Callable[[], object]) -> None:
        """Call `act` once, when the next chunk with these bytes has come and before the target has
        it.
        """
        self._order(partial(self._ambushes.append, Ambush(matching, before=act)))

    def after(self, matching: bytes, act: Callable[[], object]) -> None:
        """Call `act` once, when the target has replied to the next such chunk, and before the
        client hears.
        """
        self._order(partial(self._ambushes.append, Ambush(matching, after=act)))

    def heal(self) -> None:
        """End whatever is wrong: no more delay, stall or refusal, nothing to lose; connections that
        are half dead are reset.
        """
        self._order(self._heal)

    def _order(self, what: Callable[[], T]) -> T:
        future: Future[T] = Future()
        self._orders.append((what, future))
        self._waker.send(b"!")
        return future.result(10)

    def _run(self) -> None:
        while self._is_open:
            stalled_seconds = self._stalled_until - time.monotonic()
            if stalled_seconds > 0:
                select.select([self._woken], [], [], stalled_seconds)
                self._obey()
                continue
            for key, events in self._selector.select(self._pause_seconds()):
                key.data(events)
            for connection in list(self._waiting):
                self._move_on(connection)
        for end in (self._selector, self._waker, self._woken, self._holder):
            end.close()

    def _pause_seconds(self) -> float | None:
        dues = [
            flow.waiting[0][0]
            for at in self._waiting
            for flow in at.flows
            if flow.waiting and not flow.is_blocked
        ]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _obey(self, _: int = 0) -> None:
        while self._orders:
            self._woken.recv(1)
            what, future = self._orders.popleft()
            try:
                future.set_result(what())
            except OSError as error:
                future.set_exception(error)

    def _stop(self) -> None:
        self._refuse()
        self._drop()
        self._is_open = False

    def _listen(self) -> None:
        if self._listener is None:
            self._listener = _bound(self.port)
            self._listener.listen(256)
            self._listener.setblocking(False)
            self._selector.register(
                self._listener, EVENT_READ, partial(self._greet, self._listener)
            )

    def _refuse(self) -> None:
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def _drop(self) -> int:
        present = list(self._connections)
        for connection in present:
            self._end(connection, reset=True)
        self.dropped += len(present)
        return len(present)

    def _half_close(self, silently: bool) -> int:
        for connection in self._connections:
            connection.half_close(silently)
        self.half_closed += len(self._connections)
        return len(self._connections)

    def _stall(self, seconds: float) -> None:
        self._stalled_until = time.monotonic() + seconds

    def _heal(self) -> None:
        self.delay_seconds = self._stalled_until = 0.0
        self._ambushes.clear()
        self._listen()
        for connection in list(self._connections):
            connection.ambush = None
            if connection.down.is_silent:
                self._end(connection, reset=True)

    def _greet(self, listener: socket.socket, _: int) -> None:
        try:
            client, _address = listener.accept()
        except OSError:
            return  # it has gone again, or we refuse it
        self.accepted += 1
        target = _connected(self.target)
        if target is None:
            close(client, reset=True)
            return
        connection = Connection(client, target)
        self._connections.add(connection)
        self._move_on(connection)

    def _serve(self, connection: Connection, flow: Flow, events: int) -> None:
        if connection not in self._connections:
            return  # it has ended since the event was seen
        try:
            if events & EVENT_READ:
                self._read(connection, flow)
        except BlockingIOError:
            pass  # there was nothing after all
        except OSError:
            self._fail(connection)
        self._move_on(connection)

    def _read(self, connection: Connection, flow: Flow) -> None:
        chunk = flow.source.recv(CHUNK)
        if flow is connection.up:
            self._meet(connection, chunk)
        elif connection.ambush:
            self._reply(connection, connection.ambush)
        flow.put(chunk, time.monotonic() + self.delay_seconds)

    def _meet(self, connection: Connection, chunk: bytes) -> None:
        ambush = next((ambush for ambush in self._ambushes if ambush.matching in chunk), None)
        if ambush:
            self._ambushes.remove(ambush)
            connection.ambush = ambush
            if ambush.before:
                ambush.before()

    def _reply(self, connection: Connection, ambush: Ambush) -> None:
        connection.ambush = None
        if ambush.after:
            ambush.after()
        if ambush.loses_reply:
            self._end(connection, reset=True)
            self.replies_lost += 1

    def _move_on(self, connection: Connection) -> None:
        """Send what is due, and wait for what comes next."""
        if connection not in self._connections:
            return
        try:
            for flow in connection.flows:
                flow.send_due(time.monotonic())
        except OSError:
            self._fail(connection)
        if connection.is_over:
            self._end(connection, reset=False)
        if connection not in self._connections:
            return
        for flow in connection.flows:
            self._watch(connection, flow, connection.events(flow))
        is_waiting = any(flow.waiting for flow in connection.flows)
        (self._waiting.add if is_waiting else self._waiting.discard)(connection)

    def _watch(self, connection: Connection, flow: Flow, events: int) -> None:
        if events == flow.watched:
            return
        if flow.watched:
            self._selector.unregister(flow.source)
        if events:
            self._selector.register(flow.source, events, partial(self._serve, connection, flow))
        flow.watched = events

    def _fail(self, connection: Connection) -> None:
        if not connection.lose_target():
            self._end(connection, reset=True)

    def _end(self, connection: Connection, *, reset: bool) -> None:
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        self._waiting.discard(connection)
        for flow in connection.flows:
            self._watch(connection, flow, 0)
            close(flow.source, reset=reset)


def _bound(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


def _connected(address: Address) -> socket.socket | None:
    """Return a socket that is connected or about to be; None where there is nobody."""
    target = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    target.setblocking(False)
    if target.connect_ex(address) in (0, errno.EINPROGRESS):
        return target
    target.close()
    return None
