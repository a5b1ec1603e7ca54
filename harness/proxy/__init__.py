"""A TCP proxy that does to connections what bad networks do, in front of Redis, a vendor or the
API.

One thread owns all sockets. The public methods hand it a command and return when that is done.
"""

import socket
import time
from collections.abc import Callable
from functools import partial
from selectors import EVENT_READ, DefaultSelector
from threading import Thread

from harness.proxy.commands import Commands
from harness.proxy.connection import Address, Connection, Flow, Interception, close, connected_to
from harness.proxy.listener import Listener

CHUNK_BYTES = 65536


class Proxy:
    """Listens on 127.0.0.1 and carries each connection to `target`.

    It counts `accepted`, `dropped` and `half_closed` connections, and `replies_lost`. Any thread
    may call its methods, except for the functions given to `before` and `after`: the proxy stands
    still while they run, and they must not raise.
    """

    def __init__(self, target: Address, port: int = 0) -> None:
        self.target = target
        self.delay_seconds = 0.0  # of chunks that arrive from now on; their order is kept
        self.accepted = self.dropped = self.half_closed = self.replies_lost = 0
        self._connections: set[Connection] = set()
        self._queued: set[Connection] = set()  # those with chunks to send
        self._interceptions: list[Interception] = []
        self._stalled_until = 0.0
        self._selector = DefaultSelector()
        self._commands = Commands(self._selector)
        self._listener = Listener(port, self._selector, self._accept)
        self.port = self._listener.port
        self._is_open = True
        self._thread = Thread(target=self._run, name=f"proxy-{self.port}", daemon=True)
        self._thread.start()

    @property
    def present(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    def close(self) -> None:
        """Reset all open connections and end."""
        if self._is_open:
            self._commands.run(self._stop)
            self._thread.join()

    def drop(self) -> int:
        """Reset all open connections; returns how many there were."""
        return self._commands.run(self._drop)

    def refuse(self) -> None:
        """Refuse new connections until `accept`. Open ones go on."""
        self._commands.run(self._listener.refuse)

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._commands.run(self._listener.open)

    def half_close(self, *, silently: bool = True) -> int:
        """Send nothing more to the clients of open connections, but carry what they send.

        Silently, as if the peer were half dead, or with a proper end of that direction. Never
        closes a connection. Returns how many there were.
        """
        return self._commands.run(partial(self._half_close, silently))

    def stall(self, seconds: float) -> None:
        """Carry nothing and accept no connection for that long. 0 ends a stall."""
        self._commands.run(partial(self._stall, seconds))

    def lose_reply(self, matching: bytes, count: int = 1) -> None:
        """Carry the next `count` chunks with these bytes to the target, and reset the connection
        instead of delivering the reply.
        """
        self._intercept(*[Interception(matching, loses_reply=True)] * count)

    def before(self, matching: bytes, act: Callable[[], object]) -> None:
        """Call `act` once, before the target gets the next chunk with these bytes."""
        self._intercept(Interception(matching, before=act))

    def after(self, matching: bytes, act: Callable[[], object]) -> None:
        """Call `act` once, after the target has replied to the next chunk with these bytes and
        before the client gets the reply.
        """
        self._intercept(Interception(matching, after=act))

    def heal(self) -> None:
        """End all delays, stalls, refusals and interceptions. Reset half-closed connections."""
        self._commands.run(self._heal)

    def _intercept(self, *interceptions: Interception) -> None:
        self._commands.run(partial(self._interceptions.extend, interceptions))

    # Everything below runs on the proxy's own thread.

    def _run(self) -> None:
        while self._is_open:
            stalled_seconds = self._stalled_until - time.monotonic()
            if stalled_seconds > 0:
                self._commands.run_pending(stalled_seconds)
                continue
            for key, events in self._selector.select(self._seconds_until_due()):
                key.data(events)
            for connection in list(self._queued):
                self._advance(connection)
        for resource in (self._selector, self._commands, self._listener):
            resource.close()

    def _seconds_until_due(self) -> float | None:
        dues = [
            flow.queued[0][0]
            for connection in self._queued
            for flow in connection.flows
            if flow.queued and not flow.is_blocked
        ]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _stop(self) -> None:
        self._listener.refuse()
        self._drop()
        self._is_open = False

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
        self._interceptions.clear()
        self._listener.open()
        for connection in list(self._connections):
            connection.interception = None
            if connection.down.is_silent:
                self._end(connection, reset=True)

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # the client has left, or we refuse connections now
        self.accepted += 1
        target = connected_to(self.target)
        if target is None:
            close(client, reset=True)
            return
        connection = Connection(client, target)
        self._connections.add(connection)
        self._advance(connection)

    def _serve(self, connection: Connection, flow: Flow, events: int) -> None:
        if connection not in self._connections:
            return  # it has ended since the event was reported
        try:
            if events & EVENT_READ:
                self._read(connection, flow)
        except BlockingIOError:
            pass  # spurious event
        except OSError:
            self._fail(connection)
        self._advance(connection)

    def _read(self, connection: Connection, flow: Flow) -> None:
        chunk = flow.source.recv(CHUNK_BYTES)
        if flow is connection.up:
            self._intercept_request(connection, chunk)
        elif connection.interception:
            self._intercept_reply(connection, connection.interception)
        flow.put(chunk, time.monotonic() + self.delay_seconds)

    def _intercept_request(self, connection: Connection, chunk: bytes) -> None:
        found = next((each for each in self._interceptions if each.matching in chunk), None)
        if found:
            self._interceptions.remove(found)
            connection.interception = found
            if found.before:
                found.before()

    def _intercept_reply(self, connection: Connection, interception: Interception) -> None:
        connection.interception = None
        if interception.after:
            interception.after()
        if interception.loses_reply:
            self._end(connection, reset=True)
            self.replies_lost += 1

    def _advance(self, connection: Connection) -> None:
        """Send what is due, and register for the events that come next."""
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
        has_queued = any(flow.queued for flow in connection.flows)
        (self._queued.add if has_queued else self._queued.discard)(connection)

    def _watch(self, connection: Connection, flow: Flow, events: int) -> None:
        if events == flow.watched:
            return
        if flow.watched:
            self._selector.unregister(flow.source)
        if events:
            self._selector.register(flow.source, events, partial(self._serve, connection, flow))
        flow.watched = events

    def _fail(self, connection: Connection) -> None:
        if not connection.survives_loss_of_target():
            self._end(connection, reset=True)

    def _end(self, connection: Connection, *, reset: bool) -> None:
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        self._queued.discard(connection)
        for flow in connection.flows:
            self._watch(connection, flow, 0)
            close(flow.source, reset=reset)
