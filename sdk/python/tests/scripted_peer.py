"""An HTTP server that answers as a test says, for faults that a real service has on demand only."""

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    body: Any = field(default_factory=dict)
    """Bytes, or what becomes JSON."""
    status: int = 200
    """0: no answer at all, and the connection is closed."""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    """Reset the connection after so many bytes of the body."""
    drip: float = 0
    """Seconds before each byte, head included."""
    reads: bool = True
    """Whether the body of the request is read."""
    raw: bytes = b""
    """Sent instead of all that, before the connection is closed."""
    length: bool = True
    """Whether the answer says how long it is."""


@dataclass
class Seen:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Peer"

    def answer(self) -> None:
        reply = self.server.next_reply()
        size = int(self.headers.get("Content-Length") or 0) if reply.reads else 0
        body = self.rfile.read(size)
        seen = Seen(self.command, self.path, dict(self.headers), body)
        self.server.seen.append(seen)
        self.close_connection = not (
            reply.length and not reply.raw and reply.reads and reply.status
        )
        if reply.status:
            self.send(reply)
        if reply.cut_at is not None:
            self.close_connection = True
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    def send(self, reply: Reply) -> None:
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        length = {"Content-Length": str(len(content))} if reply.length else {}
        headers = {"Content-Type": "application/json", **length, **reply.headers}
        head = f"HTTP/{'1.1' if reply.length else '1.0'} {reply.status} Scripted\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        data = reply.raw or f"{head}\r\n".encode() + content[: reply.cut_at]
        step = 1 if reply.drip else len(data)
        try:
            for start in range(0, len(data), step):
                if reply.drip:
                    time.sleep(reply.drip)
                self.wfile.write(data[start : start + step])
        except OSError:
            self.close_connection = True  # the client has gone

    do_GET = do_POST = answer  # noqa: N815 the names are those of http.server

    def log_message(self, *args: object) -> None:
        pass


class Peer(ThreadingHTTPServer):
    """Answers with the replies of its script in turn, and with the last one from then on."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.script: list[Reply] = [Reply()]
        self.seen: list[Seen] = []
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *args: object) -> None:
        """Say nothing of clients that have gone."""

    def next_reply(self) -> Reply:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


CUT = Reply(status=0)
