"""A connection that goes through the proxy: a client's socket and the target's, and what is under
way between them.
"""

import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from selectors import EVENT_READ, EVENT_WRITE

MAX_WAITING = 256  # chunks in one direction; then its source is not read until there are fewer
RESET = struct.pack("ii", 1, 0)  # linger for no time: close() sends a reset


@dataclass(frozen=True)
class Ambush:
    """What awaits the next chunk with certain bytes on its way to the target, and its reply."""

    matching: bytes
    before: Callable[[], object] | None = None
    after: Callable[[], object] | None = None
    loses_reply: bool = False


class Flow:
    """One direction of a connection: what `source` has said and `sink` has yet to hear."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        self.waiting: deque[tuple[float, bytes]] = (
            deque()
        )  # monotonic seconds when it is due; no bytes are the end
        self.is_silent = False  # what comes is thrown away
        self.is_blocked = False  # the sink takes no more for now
        self.has_ended = False  # the source says no more
        self.watched = 0  # the events that are waited for at the source

    def put(self, chunk: bytes, due: float) -> None:
        self.has_ended = not chunk
        if not self.is_silent:
            self.waiting.append((due, chunk))

    def send_due(self, now: float) -> None:
        """Raises OSError where the sink is gone."""
        self.is_blocked = False
        while self.waiting and self.waiting[0][0] <= now:
            due, chunk = self.waiting.popleft()
            if not chunk:
                self.sink.shutdown(socket.SHUT_WR)
            elif rest := self._send(chunk):
                self.waiting.appendleft((due, rest))
                self.is_blocked = True
                return

    def silence(self) -> None:
        self.is_silent, self.is_blocked = True, False
        self.waiting.clear()

    def _send(self, chunk: bytes) -> bytes:
        try:
            return chunk[self.sink.send(chunk) :]
        except BlockingIOError:
            return chunk


class Connection:
    """A client's socket and the target's, with a flow each way."""

    def __init__(self, client: socket.socket, target: socket.socket) -> None:
        for end in (client, target):
            _make_quick(end)
        self.up, self.down = Flow(client, target), Flow(target, client)
        self.flows = (self.up, self.down)
        self.ambush: Ambush | None = None  # its first half is done, the reply is still to come

    @property
    def is_over(self) -> bool:
        if self.down.is_silent:
            return self.up.has_ended
        return all(flow.has_ended and not flow.waiting for flow in self.flows)

    def events(self, flow: Flow) -> int:
        """Return what to wait for at the source of `flow`: that it speaks, that it hears again."""
        back = self.down if flow is self.up else self.up
        reads = not flow.has_ended and len(flow.waiting) < MAX_WAITING
        return EVENT_READ * reads | EVENT_WRITE * back.is_blocked

    def half_close(self, silently: bool) -> None:
        self.down.silence()
        with suppress(OSError):  # the client has gone already
            if not silently:
                self.down.sink.shutdown(socket.SHUT_WR)

    def lose_target(self) -> bool:
        """With a client that hears nothing any more, the target can go unseen. False where that is
        not so.
        """
        if not self.down.is_silent or self.up.is_silent:
            return False
        self.up.silence()
        self.down.has_ended = True
        return True


def _make_quick(end: socket.socket) -> None:
    end.setblocking(False)
    if end.family != socket.AF_UNIX:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def close(end: socket.socket, *, reset: bool) -> None:
    """Close it properly, or with a reset."""
    if reset:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    end.close()
