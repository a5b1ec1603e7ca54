"""Users that ask as soon as they are answered, each over a connection that it keeps: python -m
bench.users PLAN

They share one thread, and read no more of an answer than its status and its length: asking costs a
fraction of answering. PLAN is a Plan as JSON; what came of it goes to standard output, as JSON too.
"""

import asyncio
import itertools
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

FIRST_SECONDS = 30.0  # that a server may take to load before its first answer
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """Ask for each of `paths` by turns, with `body` where it is a POST; `status` is that of a right
    answer.
    """

    port: int
    paths: Sequence[str]
    status: int
    body: str = ""
    users: int = 200
    warm_up_seconds: float = 1.0
    seconds: float = 4.0


@dataclass
class Answers:
    """What has come since the warm-up."""

    seconds_taken: list[float] = field(default_factory=list)
    wrong: int = 0  # another status, or a connection that was closed


class User(asyncio.Protocol):
    """One connection; the next request goes out when the last is answered."""

    def __init__(self, requests: Iterator[bytes], status: int, answers: Answers) -> None:
        self._requests = requests
        self._right = b"HTTP/1.1 %d " % status
        self._answers = answers
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # for the type checker
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not _is_whole(self._received):
            return
        if self._received.startswith(self._right):
            self._answers.seconds_taken.append(time.perf_counter() - self._since)
        else:
            self._answers.wrong += 1
        self._received = b""
        self._ask()

    def connection_lost(self, exception: Exception | None) -> None:
        self._answers.wrong += 1

    def _ask(self) -> None:
        self._since = time.perf_counter()
        self._transport.write(next(self._requests))


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if length := LENGTH.search(head):
        return len(body) >= int(length[1])
    return bool(end) and (b"chunked" not in head or body.endswith(b"0\r\n\r\n"))


def requests(plan: Plan) -> Iterator[bytes]:
    """Give the requests of a plan, for ever."""
    host = f"Host: 127.0.0.1:{plan.port}\r\n"
    content = (
        f"Content-Type: application/json\r\nContent-Length: {len(plan.body)}\r\n"
        if plan.body
        else ""
    )
    method = "POST" if plan.body else "GET"
    return itertools.cycle(
        [
            f"{method} {path} HTTP/1.1\r\n{host}{content}\r\n{plan.body}".encode()
            for path in plan.paths
        ]
    )


async def ask(plan: Plan) -> dict[str, float]:
    """Return what came of a plan. Raises TimeoutError or RuntimeError where nobody had a right
    answer.
    """
    answers, all_requests, loop = Answers(), requests(plan), asyncio.get_running_loop()
    for _ in range(plan.users):
        await loop.create_connection(
            lambda: User(all_requests, plan.status, answers), "127.0.0.1", plan.port
        )
    async with asyncio.timeout(FIRST_SECONDS):
        while not (answers.seconds_taken or answers.wrong):
            await asyncio.sleep(0.01)
    await asyncio.sleep(plan.warm_up_seconds)
    answers.seconds_taken.clear()
    answers.wrong = 0
    since, cpu_since = time.perf_counter(), time.process_time()
    await asyncio.sleep(plan.seconds)
    seconds, cpu_seconds = time.perf_counter() - since, time.process_time() - cpu_since
    taken = answers.seconds_taken
    if len(taken) < 2:
        raise RuntimeError(
            f"{plan.paths[0]} has no answer {plan.status}, but {answers.wrong} others"
        )
    percentiles = statistics.quantiles(taken, n=100)
    return {
        "right_a_second": len(taken) / seconds,
        "wrong_a_second": answers.wrong / seconds,
        "p50_ms": percentiles[49] * 1000,
        "p95_ms": percentiles[94] * 1000,
        "asking_cores": cpu_seconds / seconds,
    }


def answered(plan: Plan) -> dict[str, float]:
    """Run a plan in a process of its own, and return what `ask` returns."""
    command = [sys.executable, "-m", "bench.users", json.dumps(asdict(plan))]
    found: dict[str, float] = json.loads(
        subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    )
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(ask(Plan(**json.loads(sys.argv[1]))))))
