"""Calls a hostile HTTP server many times and counts replies that hold bytes sent for another call.
There must be none.

    .venv/bin/python -m loadtest.connection_fuzz --calls 50000 --seed 1

For each call the server draws a behaviour from the seed: interim heads, responses doubled, split or
followed by stray bytes, wrong lengths, false keep-alive, and so on. Several threads call three
vendors at one host and port, over real connections on the loopback device.

No HTTP/1.1 client can detect stray bytes that arrive after it has sent its next request on the same
connection. When the server sends stray bytes late, the thread therefore waits for them before its
next call.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any

from harness.vendor.server import Server, Visit
from loadtest.hostile import Exchange
from loadtest.hostile_behaviours import (
    ALWAYS_POSSIBLE,
    FREQUENT,
    LATE,
    OUTCOMES,
    TIMEOUT_SECONDS,
    Behaviour,
    early,
)


@dataclass
class Fuzz:
    """One run: a server, and threads that call it. `mixed` and `unexpected` must stay empty."""

    calls: int
    seed: int
    threads: int = 8
    outcomes: Counter[str] = field(default_factory=Counter)
    mixed: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._sent = {call: Event() for call in range(self.calls) if self.behaviour(call) in LATE}
        self._lock = Lock()
        self._server = Server(self._talk)

    @property
    def connections(self) -> int:
        return self._server.visits

    def behaviour(self, call: int) -> Behaviour:
        return random.Random(f"{self.seed}/{call}").choice([*OUTCOMES, *FREQUENT * 3])

    def run(self) -> "Fuzz":
        shares = [range(number, self.calls, self.threads) for number in range(self.threads)]
        callers = [Thread(target=self._call_each, args=(share,)) for share in shares]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        self._server.stop()
        return self

    def _call_each(self, calls: range) -> None:
        for call in calls:
            outcome, received = self._call(call)
            self._check(call, outcome, received)
            if call in self._sent and outcome == "done":  # otherwise the connection is not kept
                self._sent[call].wait()

    def _check(self, call: int, outcome: str, received: set[str]) -> None:
        behaviour = self.behaviour(call)
        with self._lock:
            self.outcomes[outcome] += 1
            if received - {str(call)}:
                self.mixed.append(f"{call} ({behaviour.__name__}) got {received}")
            if outcome not in OUTCOMES[behaviour] | ALWAYS_POSSIBLE:
                self.unexpected.append(f"{call} ({behaviour.__name__}) ended as {outcome}")

    def _call(self, call: int) -> tuple[str, set[str]]:
        """Return the outcome of a call, and the names of the calls its reply was sent for."""
        from vendors.base import VendorError
        from vendors.http.call import post_json

        url = f"{self._server.url}vendor-{call % 3}"
        payload = {"name": str(call), "filler": "y" * (100 if call % 7 else 50_000)}
        headers = {"X-Call": str(call)}
        try:
            reply = post_json(url, payload, headers=headers, timeout_seconds=TIMEOUT_SECONDS)
            return "done", {reply.json_object()["name"], reply.headers["X-Request-Id"]}
        except VendorError as error:
            return error.code, _names(getattr(error, "reply", None))

    def _talk(self, visit: Visit) -> None:
        with suppress(OSError, ValueError), visit.connection.makefile("rb") as file:
            while head := _read_head(file):
                call, length = int(head["x-call"]), int(head["content-length"])
                behaviour = self.behaviour(call)
                if behaviour is not early:
                    file.read(length)
                chance = random.Random(f"{call}/{self.seed}")
                try:
                    behaviour(Exchange(visit.connection, str(call), chance))
                finally:
                    if call in self._sent:
                        self._sent[call].set()
                if behaviour is early:
                    file.read(length)


def _read_head(file: Any) -> dict[str, str]:
    """Return the headers of the next request, or {} if the client closed the connection."""
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
    report(fuzz, time.monotonic() - began)
    calls = fuzz.outcomes.total()
    return 1 if fuzz.mixed or fuzz.unexpected or calls < options.calls else 0


def report(fuzz: Fuzz, seconds: float) -> None:
    for outcome, count in fuzz.outcomes.most_common():
        sys.stdout.write(f"{count:8} {outcome}\n")
    for line in [*fuzz.mixed, *fuzz.unexpected][:20]:
        sys.stdout.write(f"{line}\n")
    calls = f"{fuzz.outcomes.total()} of {fuzz.calls} calls (seed {fuzz.seed})"
    found = f"{len(fuzz.mixed)} mixed, {len(fuzz.unexpected)} unexpected"
    sys.stdout.write(f"{calls} over {fuzz.connections} connections in {seconds:.0f} s: {found}\n")


if __name__ == "__main__":
    sys.exit(main())
