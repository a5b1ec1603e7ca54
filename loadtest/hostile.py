"""Building blocks of hostile responses: each names the call it was sent for, in its body and in a
header.
"""

import json
import random
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

INTERIM_STATUSES = ["100 Continue", "102 Processing", "103 Early Hints", "199 Odd"]


@dataclass
class Exchange:
    """One call as the server sees it."""

    connection: socket.socket
    call: str
    chance: random.Random

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def pause(self) -> None:
        time.sleep(self.chance.choice([0, 0, 0.001, 0.003]))

    def body(self) -> bytes:
        filler = "x" * self.chance.choice([0, 0, 10, 5000, 20_000])
        return json.dumps({"name": self.call, "filler": filler}).encode()

    def response(
        self,
        status: str = "200 OK",
        body: bytes | None = None,
        length: object = None,
        **headers: object,
    ) -> bytes:
        """Return a response. A header whose value is "" is left out."""
        body = self.body() if body is None else body
        named = {
            "Content-Length": len(body) if length is None else length,
            "X-Request-Id": self.call,
        }
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}" for name, value in named.items() if value != ""]
        return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body

    def chunked(self, trailers: bytes = b"", **headers: object) -> bytes:
        body, chunks = self.body(), b""
        while body:
            size = self.chance.randint(1, max(1, len(body)))
            extension = self.chance.choice([b"", b";name=value", b" ; a"])
            chunks += b"%x%s\r\n%s\r\n" % (size, extension, body[:size])
            body = body[size:]
        chunks += b"0\r\n" + trailers + b"\r\n"
        fields: dict[str, Any] = {"length": "", "Transfer_Encoding": "chunked", **headers}
        return self.response(body=chunks, **fields)

    def interim(self, count: int) -> Iterator[bytes]:
        for _ in range(count):
            status = self.chance.choice(INTERIM_STATUSES)
            header = self.chance.choice(["", "Link: </a>; rel=preload\r\n"])
            yield f"HTTP/1.1 {status}\r\n{header}\r\n".encode()

    def stray(self) -> bytes:
        """Return bytes that belong to no call."""
        other = self.response(body=b'{"name": "stray"}', X_Request_Id="stray")
        interim = b"HTTP/1.1 100 Continue\r\n\r\n"
        return self.chance.choice([b"\r\n", b"x", other, other[:20], interim, b"\x00" * 70_000])
