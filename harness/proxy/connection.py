"""A proxied connection: the client's socket, the target's socket, and the bytes between them."""

import errno
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from selectors import EVENT_READ, EVENT_WRITE

Address = tuple[str, int] | str  # host and port, or the path of a Unix socket

MAX_QUEUED_CHUNKS = 256  # in one direction; its source is not read while there are as many
RESET = struct.pack("ii", 1, 0)  # linger for zero seconds: close() sends a reset


@dataclass(frozen=True)
class Interception:
    """What happens to the next chunk with certain bytes on its way to the target, and its reply."""

    matching: bytes
    before: Callable[[], object] | None = None
    after: Callable[[], object] | None = None
    loses_reply: bool = False


class Flow:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source, self.sink = source, sink
        # Chunks with the time (monotonic seconds) when each is due. An empty one ends the flow.
        self.queued: deque[tuple[float, bytes]] = deque()
        self.is_silent = False  # chunks are discarded
        self.is_blocked = False  # the sink's buffer is full
        self.has_ended = False  # the source has closed its direction
        self.watched = 0  # events registered for the source

    def put(self, chunk: bytes, due: float) -> None:
        self.has_ended = not chunk
        if not self.is_silent:
            self.queued.append((due, chunk))

    def send_due(self, now: float) -> None:
        """Raises OSError if the sink is closed."""
        self.is_blocked = False
        while self.queued and self.queued[0][0] <= now:
            due, chunk = self.queued.popleft()
            if not chunk:
                self.sink.shutdown(socket.SHUT_WR)
            elif rest := self._send(chunk):
                self.queued.appendleft((due, rest))
                self.is_blocked = True
                return

    def silence(self) -> None:
        self.is_silent, self.is_blocked = True, False
        self.queued.clear()

    def _send(self, chunk: bytes) -> bytes:
        """Return what could not be sent."""
        try:
            return chunk[self.sink.send(chunk) :]
        except BlockingIOError:
            return chunk


class Connection:
    """A client's socket and the target's, with a flow each way."""

    def __init__(self, client: socket.socket, target: socket.socket) -> None:
        for end in (client, target):
            _configure(end)
        self.up, self.down = Flow(client, target), Flow(target, client)
        self.flows = (self.up, self.down)
        self.interception: Interception | None = None  # waiting for the reply

    @property
    def is_over(self) -> bool:
        if self.down.is_silent:
            return self.up.has_ended
        return all(flow.has_ended and not flow.queued for flow in self.flows)

    def events(self, flow: Flow) -> int:
        """Return which events of the flow's source to wait for."""
        opposite = self.down if flow is self.up else self.up
        reads = not flow.has_ended and len(flow.queued) < MAX_QUEUED_CHUNKS
        return EVENT_READ * reads | EVENT_WRITE * opposite.is_blocked

    def half_close(self, silently: bool) -> None:
        self.down.silence()
        with suppress(OSError):  # the client has closed already
            if not silently:
                self.down.sink.shutdown(socket.SHUT_WR)

    def survives_loss_of_target(self) -> bool:
        """Detach the target if the client hears nothing anyway. Returns False otherwise."""
        if not self.down.is_silent or self.up.is_silent:
            return False
        self.up.silence()
        self.down.has_ended = True
        return True


def _configure(end: socket.socket) -> None:
    end.setblocking(False)
    if end.family != socket.AF_UNIX:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def close(end: socket.socket, *, reset: bool) -> None:
    if reset:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    end.close()


def connected_to(address: Address) -> socket.socket | None:
    """Return a socket that is connected or connecting, or None if nothing listens there."""
    target = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
    target.setblocking(False)
    if target.connect_ex(address) in (0, errno.EINPROGRESS):
        return target
    target.close()
    return None
