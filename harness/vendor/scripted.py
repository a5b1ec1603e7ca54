"""A vendor that answers each request as a function says, and records what arrives."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from itertools import chain, repeat
from threading import Event
from typing import Any

from harness.vendor.server import Server, Visit

MAX_HOLD_SECONDS = 60.0


@dataclass(frozen=True)
class Arrival:
    """A request that has arrived in full."""

    at: float  # Unix seconds, when its first bytes arrived
    raw: bytes
    caller: str  # IP address

    @cached_property
    def _parts(self) -> tuple[bytes, bytes]:
        head, _, body = self.raw.partition(b"\r\n\r\n")
        return head, body

    @property
    def method(self) -> str:
        return self.raw.partition(b" ")[0].decode("ascii")

    @property
    def path(self) -> str:
        return self.raw.split(b" ", 2)[1].decode("ascii")

    @cached_property
    def headers(self) -> dict[str, str]:
        """Names in lower case."""
        lines = self._parts[0].decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines)
        return {name.lower(): value.strip() for name, _, value in pairs}

    @property
    def key(self) -> str:
        return self.headers.get("idempotency-key", "")

    @property
    def content(self) -> bytes:
        return self._parts[1]

    @cached_property
    def body(self) -> Any:
        """The JSON value that was posted. Raises ValueError for anything else."""
        return json.loads(self.content)


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: Any = None  # sent as JSON
    headers: tuple[tuple[str, str], ...] = ()
    delay_seconds: float = 0.0
    text: str | None = None  # sent instead of a JSON body

    def __bytes__(self) -> bytes:
        content = (json.dumps(self.body) if self.text is None else self.text).encode()
        named = (*self.headers, ("Content-Length", str(len(content))))
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        lines += [f"{name}: {value}" for name, value in named]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


Script = Callable[[Arrival], Answer | bytes]  # bytes are sent as they are


def done(arrival: Arrival) -> Answer:
    return Answer(body={"name": arrival.body["name"], "info": "done"})


def in_turn(*answers: Answer) -> Script:
    """Return a script that gives these answers in turn, and then repeats the last."""
    script = chain(answers, repeat(answers[-1]))
    return lambda _: next(script)


class VendorServer(Server):
    """Answers each request with what `answer` returns. Clear `hold` to keep all calls in flight."""

    keeps_requests = False  # `arrivals` has them

    def __init__(self, answer: Script = done, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.answer = answer
        self.arrivals: list[Arrival] = []
        self.hold = Event()
        self.hold.set()
        super().__init__(self._talk, host=host, port=port)

    def keys(self) -> list[str]:
        """Return the Idempotency-Key of each arrival."""
        return [arrival.key for arrival in self.arrivals]

    def stop(self) -> None:
        self.hold.set()
        super().stop()

    def _talk(self, visit: Visit) -> None:
        caller: str = visit.connection.getpeername()[0]
        while raw := visit.read_request():
            arrival = Arrival(visit.requested_at, raw, caller)
            self.arrivals.append(arrival)
            answer = self.answer(arrival)
            self.hold.wait(MAX_HOLD_SECONDS)
            if isinstance(answer, Answer) and answer.delay_seconds:
                self.stopped.wait(answer.delay_seconds)
            visit.send(bytes(answer))
