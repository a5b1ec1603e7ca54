"""Calls a hostile HTTP server many times, and counts replies that hold bytes sent for another call.
There must be none.

.venv/bin/python -m loadtest.connection_fuzz --calls 50000 --seed 1

Each response names the call that it was sent for, in its body and in a header. The server draws how
it answers each call from the seed: interim heads, responses doubled, split or followed by stray
bytes, wrong lengths, lies about keep-alive, and so on. Several threads call three vendors on the
one host and port. All connections are real ones on the loopback device.

One thing no client of HTTP/1.1 can tell: bytes that the server sends for no call after the next one
was sent on the same connection. Where the server sends stray bytes late, the thread therefore waits
for them before its next call.
"""

import argparse
import json
import os
import random
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any

TIMEOUT_SECONDS = 0.5
# What may become of any call: the machine is slow, or the connection that was kept is just being
# closed.
ALWAYS = {"vendor_timeout", "connection_lost", "vendor_unreachable"}


@dataclass
class Visit:
    """One call as the server sees it."""

    connection: socket.socket
    call: str
    chance: random.Random
    unread: int = 0  # bytes of the request's body that have not been read

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

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
        body = self.body() if body is None else body
        named = {
            "Content-Length": len(body) if length is None else length,
            "X-Request-Id": self.call,
        }
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [
            f"HTTP/1.1 {status}",
            *(f"{name}: {value}" for name, value in named.items() if value != ""),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def chunked(self, trailers: bytes = b"", **headers: object) -> bytes:
        body, chunks = self.body(), b""
        while body:
            size = self.chance.randint(1, max(1, len(body)))
            extension = self.chance.choice([b"", b";name=value", b" ; a"])
            chunks += b"%x%s\r\n%s\r\n" % (size, extension, body[:size])
            body = body[size:]
        headers = {"Transfer_Encoding": "chunked", **headers}
        return self.response(
            body=chunks + b"0\r\n" + trailers + b"\r\n", **{"length": "", **headers}
        )

    def interim(self, count: int) -> Iterator[bytes]:
        for _ in range(count):
            status = self.chance.choice(
                ["100 Continue", "102 Processing", "103 Early Hints", "199 Odd"]
            )
            yield f"HTTP/1.1 {status}\r\n{self.chance.choice(['', 'Link: </a>; rel=preload' + chr(13) + chr(10)])}\r\n".encode()

    def stray(self) -> bytes:
        other = self.response(body=b'{"name": "stray"}', X_Request_Id="stray")
        return self.chance.choice(
            [b"\r\n", b"x", other, other[:20], b"HTTP/1.1 100 Continue\r\n\r\n", b"\x00" * 70_000]
        )

    def pause(self) -> None:
        time.sleep(self.chance.choice([0, 0, 0.001, 0.003]))


def plain(visit: Visit) -> None:
    visit.send(visit.response())


def interim(visit: Visit) -> None:
    for head in visit.interim(visit.chance.randint(1, 10)):
        visit.send(head)
        visit.pause()
    visit.send(visit.response())


def interim_at_once(visit: Visit) -> None:
    visit.send(b"".join(visit.interim(visit.chance.randint(1, 10))) + visit.response())


def too_many_interim(visit: Visit) -> None:
    visit.send(b"".join(visit.interim(11)) + visit.response())


def switching(visit: Visit) -> None:
    visit.send(visit.response("101 Switching Protocols", body=b"", length=""))
    visit.pause()
    visit.send(visit.response())


def split(visit: Visit) -> None:
    data = visit.response()
    while data:
        size = visit.chance.randint(1, max(1, len(data) // 3))
        visit.send(data[:size])
        visit.pause()
        data = data[size:]


def doubled(visit: Visit) -> None:
    visit.send(visit.response() + visit.response())


def followed_by_stray_bytes(visit: Visit) -> None:
    visit.send(
        visit.response(visit.chance.choice(["200 OK", "422 No", "500 Oops"])) + visit.stray()
    )


def doubled_late(visit: Visit) -> None:
    visit.send(visit.response())
    time.sleep(visit.chance.choice([0.001, 0.005, 0.02]))
    visit.send(visit.response())


def stray_bytes_late(visit: Visit) -> None:
    visit.send(visit.chunked() if visit.chance.random() < 0.5 else visit.response())
    time.sleep(visit.chance.choice([0.001, 0.005, 0.02]))
    visit.send(visit.stray())


def longer_than_said(visit: Visit) -> None:
    body = visit.body()
    visit.send(visit.response(body=body + visit.response(), length=len(body)))


def shorter_than_said(visit: Visit) -> None:
    visit.send(visit.response(length=100_000))
    if visit.chance.random() < 0.1:
        time.sleep(TIMEOUT_SECONDS * 1.5)
        visit.send(visit.response())
    raise ConnectionError


def closes_though_keep_alive(visit: Visit) -> None:
    visit.send(visit.response(Connection="keep-alive", Keep_Alive="timeout=60"))
    raise ConnectionError


def keeps_open_though_close(visit: Visit) -> None:
    visit.send(visit.response(Connection="close"))
    visit.pause()
    visit.send(visit.stray())


def old_keep_alive(visit: Visit) -> None:
    visit.send(visit.response(Connection="keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0", 1))


def without_length(visit: Visit) -> None:
    visit.send(visit.response(length=""))
    raise ConnectionError


def chunked(visit: Visit) -> None:
    visit.send(visit.chunked())


def chunked_with_trailers(visit: Visit) -> None:
    visit.send(
        visit.chunked(
            b"".join(b"X-Trailer-%d: x\r\n" % n for n in range(visit.chance.randint(1, 50)))
        )
    )


def chunked_then_stray(visit: Visit) -> None:
    visit.send(visit.chunked() + visit.stray())


def chunked_and_length(visit: Visit) -> None:
    visit.send(visit.chunked(length=visit.chance.choice([5, 20, 100_000])) + visit.response())


def bad_chunks(visit: Visit) -> None:
    begin = visit.response(body=b"", length="", Transfer_Encoding="chunked")
    size = visit.chance.choice([b"zz", b"-5", b"+5", b"0x5", b"5 5", b"", b"f" * 40, b"1_0"])
    visit.send(begin + size + b"\r\n" + visit.body() + b"\r\n0\r\n\r\n" + visit.response())


def chunk_longer_than_said(visit: Visit) -> None:
    begin = visit.response(body=b"", length="", Transfer_Encoding="chunked")
    visit.send(begin + b"5\r\n" + visit.body() + b"\r\n0\r\n\r\n" + visit.response())


def odd_coding(visit: Visit) -> None:
    coding = visit.chance.choice(
        ["gzip, chunked", "chunked, chunked", "deflate", "chunked, identity"]
    )
    visit.send(visit.chunked(Transfer_Encoding=coding) + visit.response())


def bad_length(visit: Visit) -> None:
    visit.send(
        visit.response(
            length=visit.chance.choice(["-5", "5, 6", "abc", "0x10", "1_0", "+5", "9" * 30])
        )
        + visit.response()
    )


def no_body_but_one(visit: Visit) -> None:
    visit.send(visit.response("304 Not Modified"))


def early(visit: Visit) -> None:
    """Answers before it has read the body of the request."""
    visit.send(visit.response())
    visit.pause()


def refused(visit: Visit) -> None:
    visit.send(
        visit.response(
            visit.chance.choice(["404 Not Found", "422 No", "302 Found", "409 Conflict"])
        )
    )


def failed(visit: Visit) -> None:
    visit.send(visit.response(visit.chance.choice(["500 Oops", "503 Away", "408 Late"])))


def garbage(visit: Visit) -> None:
    start = visit.chance.choice(
        [
            b"SSH-2.0-x\r\n",
            b"\x15\x03\x01\x00\x02\x02\x46\n",
            b"HTTP/2 200\r\n\r\n",
            b"\r\n",
            b"ICY 200 OK\r\n",
        ]
    )
    visit.send(start + visit.response())


def bad_head(visit: Visit) -> None:
    odd = [
        {"A": "x" * 70_000},
        {f"X_{n}": n for n in range(101)},
        {"X_Odd ": "1"},
        {"A": "b\r\nno header"},
    ]
    visit.send(visit.response(**visit.chance.choice(odd)) + visit.response())


def broken_off(visit: Visit) -> None:
    data = visit.response()
    visit.send(data[: visit.chance.randint(0, len(data) - 1)])
    if visit.chance.random() < 0.5:
        visit.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionError


# How the server may answer, and what becomes of the call then.
TALKS: dict[Callable[[Visit], None], set[str]] = {
    plain: {"done"},
    interim: {"done"},
    interim_at_once: {"done"},
    too_many_interim: {"bad_reply"},
    switching: {"bad_reply"},
    split: {"done"},
    doubled: {"done"},
    followed_by_stray_bytes: {"done", "vendor_refused", "vendor_error"},
    doubled_late: {"done"},
    stray_bytes_late: {"done"},
    longer_than_said: {"done"},
    shorter_than_said: set(),
    closes_though_keep_alive: {"done"},
    keeps_open_though_close: {"done"},
    old_keep_alive: {"done"},
    without_length: {"done"},
    chunked: {"done"},
    chunked_with_trailers: {"done"},
    chunked_then_stray: {"done"},
    chunked_and_length: {"done"},
    bad_chunks: {"bad_reply"},
    chunk_longer_than_said: {"bad_reply"},
    odd_coding: {"bad_reply"},
    bad_length: {"bad_reply"},
    no_body_but_one: {"vendor_refused"},
    early: {"done"},
    refused: {"vendor_refused"},
    failed: {"vendor_error"},
    garbage: {"bad_reply"},
    bad_head: {"bad_reply"},
    broken_off: set(),
}
LATE = {doubled_late, stray_bytes_late}
OFTEN = (plain, interim, chunked)


@dataclass
class Fuzz:
    """One run: a server, and threads that call it. `mixed` and `unexpected` say what went wrong;
    both must stay empty.
    """

    calls: int
    seed: int
    threads: int = 8
    outcomes: Counter[str] = field(default_factory=Counter)
    mixed: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.connections = 0
        self._sent = {call: Event() for call in range(self.calls) if self.talk(call) in LATE}
        self._lock = Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._port = self._listener.getsockname()[1]

    def talk(self, call: int) -> Callable[[Visit], None]:
        return random.Random(f"{self.seed}/{call}").choice([*TALKS, *OFTEN * 3])

    def run(self) -> "Fuzz":
        Thread(target=self._accept, daemon=True).start()
        callers = [
            Thread(target=self._call_each, args=(range(n, self.calls, self.threads),))
            for n in range(self.threads)
        ]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        return self

    def _call_each(self, calls: range) -> None:
        for call in calls:
            outcome, held = self._call(call)
            with self._lock:
                self.outcomes[outcome] += 1
                if held - {str(call)}:
                    self.mixed.append(f"{call} ({self.talk(call).__name__}) got {held}")
                if outcome not in TALKS[self.talk(call)] | ALWAYS:
                    self.unexpected.append(
                        f"{call} ({self.talk(call).__name__}) ended as {outcome}"
                    )
            if call in self._sent and outcome == "done":  # else the connection is not kept
                self._sent[call].wait()

    def _call(self, call: int) -> tuple[str, set[str]]:
        """Return what became of a call, and the names of the calls that its reply was sent for."""
        from vendors.base import VendorError
        from vendors.http.call import post_json

        url = f"http://127.0.0.1:{self._port}/vendor-{call % 3}"
        payload = {"name": str(call), "filler": "y" * (100 if call % 7 else 50_000)}
        try:
            reply = post_json(
                url, payload, headers={"X-Call": str(call)}, timeout_seconds=TIMEOUT_SECONDS
            )
            return "done", {reply.json_object()["name"], reply.headers["X-Request-Id"]}
        except VendorError as error:
            return error.code, _names(getattr(error, "reply", None))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, ValueError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            file = connection.makefile("rb")
            while head := _head(file):
                call = int(head["x-call"])
                length = int(head["content-length"])
                talk = self.talk(call)
                if talk is not early:
                    file.read(length)
                try:
                    talk(Visit(connection, str(call), random.Random(f"{call}/{self.seed}")))
                finally:
                    if call in self._sent:
                        self._sent[call].set()
                if talk is early:
                    file.read(length)


def _head(file: Any) -> dict[str, str]:
    """Return the headers of the next request; none where the client has gone."""
    headers = {}
    while (line := file.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode().partition(":")
        headers[name.lower()] = value.strip()
    return headers


def _names(reply: Any) -> set[str]:
    if reply is None:
        return set()
    names = {reply.headers["X-Request-Id"]} if "X-Request-Id" in reply.headers else set()
    with suppress(ValueError, KeyError, TypeError):
        names.add(json.loads(reply.body)["name"])
    return names


def main() -> int:
    parser = argparse.ArgumentParser(description="Fuzz the connection to vendors.")
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=8)
    options = parser.parse_args()

    os.environ["DJANGO_SETTINGS_MODULE"] = "enrichlabs.settings"
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="enrichlabs-fuzz-") as folder:
        os.environ["ENRICHLABS_DATA"] = folder
        fuzz = Fuzz(options.calls, options.seed, options.threads).run()
    for outcome, count in fuzz.outcomes.most_common():
        sys.stdout.write(f"{count:8} {outcome}\n")
    for line in [*fuzz.mixed, *fuzz.unexpected][:20]:
        sys.stdout.write(f"{line}\n")
    seconds, calls = time.monotonic() - began, fuzz.outcomes.total()
    sys.stdout.write(
        f"{calls} of {options.calls} calls (seed {options.seed}) over {fuzz.connections} connections in {seconds:.0f} s: "
        f"{len(fuzz.mixed)} mixed, {len(fuzz.unexpected)} unexpected\n"
    )
    return 1 if fuzz.mixed or fuzz.unexpected or calls < options.calls else 0


if __name__ == "__main__":
    sys.exit(main())
