"""A MongoDB that answers a few commands and stores nothing: one that looks old, or like a replica
set without a primary.
"""

import struct
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import bson

OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
HEADER = struct.Struct("<iiii")
UNKNOWN_COMMAND = 59
GREETING = {
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "maxBsonObjectSize": 2**24,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 1000,
    "isWritablePrimary": True,
    "ismaster": True,
}


class StubMongoDB(ThreadingTCPServer):
    """Answers each command with the document in `answers` under its name in lower case."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, hello: dict[str, Any], **answers: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"127.0.0.1:{self.server_address[1]}"
        members = {"hosts": [self.address], "me": self.address} if "setName" in hello else {}
        hello = {**GREETING, **members, **hello}
        self.answers = {"hello": hello, "ismaster": hello, "ping": {}, **answers}
        Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()

    def answer(self, command: dict[str, Any]) -> dict[str, Any]:
        name = next(iter(command)).lower()
        if name in self.answers:
            return {"ok": 1.0, **self.answers[name]}
        return {"ok": 0.0, "code": UNKNOWN_COMMAND, "errmsg": name}


class _Handler(BaseRequestHandler):
    server: StubMongoDB

    def handle(self) -> None:
        while head := self.request.recv(HEADER.size):
            length, number, _, kind = HEADER.unpack(head)
            message = b""
            while len(message) < length - HEADER.size:
                message += self.request.recv(length - HEADER.size - len(message))
            self.request.sendall(self._reply(number, kind, message))

    def _reply(self, number: int, kind: int, message: bytes) -> bytes:
        if kind == OP_QUERY:  # flags, name of the collection, skip, limit, command
            begin = message.index(b"\0", 4) + 9
            flags, kind = struct.pack("<iqii", 8, 0, 0, 1), OP_REPLY
        else:  # flags, kind of the section, command
            begin, flags, kind = 5, struct.pack("<IB", 0, 0), OP_MSG
        size = struct.unpack_from("<i", message, begin)[0]
        body = flags + bson.encode(self.server.answer(bson.decode(message[begin : begin + size])))
        return HEADER.pack(HEADER.size + len(body), 1, number, kind) + body
