"""Simulated users, each with a keep-alive connection: python -m loadtest.bench.users PLAN

Each user sends its next request as soon as the last one is answered. They share one thread and read
only the status and the length of an answer, so asking costs a fraction of answering. PLAN is a Plan
as JSON; the result is printed as JSON.
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

from loadtest.bench import usage

START_TIMEOUT_SECONDS = 30.0  # until the first answer of a server that is still loading
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """Request each of `paths` in turn: POST when there is a `body`, else GET.

    With `repeatable`, each POST has an Idempotency-Key of its own. `status` is the expected one.
    `server_pid` is the process whose CPU time is measured, with all
    of its children.
    """

    port: int
    server_pid: int
    paths: Sequence[str]
    status: int
    body: str = ""
    api_key: str = ""
    repeatable: bool = False
    users: int = 200
    warm_up_seconds: float = 1.0
    seconds: float = 4.0


@dataclass
class Answers:
    """Answers since the end of the warm-up."""

    seconds_taken: list[float] = field(default_factory=list)
    wrong: int = 0  # another status, or a closed connection


class User(asyncio.Protocol):
    """One connection, with one request at a time."""

    def __init__(self, requests: Iterator[bytes], status: int, answers: Answers) -> None:
        self._requests = requests
        self._expected = b"HTTP/1.1 %d " % status
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
        if self._received.startswith(self._expected):
            self._answers.seconds_taken.append(time.perf_counter() - self._asked_at)
        else:
            self._answers.wrong += 1
        self._received = b""
        self._ask()

    def connection_lost(self, exception: Exception | None) -> None:
        self._answers.wrong += 1

    def _ask(self) -> None:
        self._asked_at = time.perf_counter()
        self._transport.write(next(self._requests))


def _is_whole(answer: bytes) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    if length := LENGTH.search(head):
        return len(body) >= int(length[1])
    return bool(end) and (b"chunked" not in head or body.endswith(b"0\r\n\r\n"))


def requests(plan: Plan) -> Iterator[bytes]:
    """Yield the requests of a plan in an endless cycle."""
    head = f"Host: 127.0.0.1:{plan.port}\r\n"
    if plan.api_key:
        head += f"Authorization: Bearer {plan.api_key}\r\n"
    if plan.body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(plan.body)}\r\n"
    method = "POST" if plan.body else "GET"
    heads = [f"{method} {path} HTTP/1.1\r\n{head}".encode() for path in plan.paths]
    end = f"\r\n{plan.body}".encode()
    if not plan.repeatable:
        return itertools.cycle([head + end for head in heads])
    since = time.time_ns()
    return (
        b'%sIdempotency-Key: "%d-%d"\r\n%s' % (head, since, number, end)
        for number, head in enumerate(itertools.cycle(heads))
    )


async def ask(plan: Plan) -> dict[str, float]:
    """Run a plan and return its figures.

    Raises TimeoutError if the server does not answer, RuntimeError if no answer is as expected.
    """
    answers = await _connect(plan)
    await asyncio.sleep(plan.warm_up_seconds)
    answers.seconds_taken.clear()
    answers.wrong = 0
    since, own_since = time.perf_counter(), time.process_time()
    server_since = usage.cpu_seconds(plan.server_pid)
    await asyncio.sleep(plan.seconds)
    seconds, own_seconds = time.perf_counter() - since, time.process_time() - own_since
    server_seconds = usage.cpu_seconds(plan.server_pid) - server_since
    taken = answers.seconds_taken
    if len(taken) < 2:
        raise RuntimeError(f"no status {plan.status} from {plan.paths[0]}, {answers.wrong} others")
    percentiles = statistics.quantiles(taken, n=100)
    return {
        "right_a_second": len(taken) / seconds,
        "wrong_a_second": answers.wrong / seconds,
        "p50_ms": percentiles[49] * 1000,
        "p95_ms": percentiles[94] * 1000,
        "server_cpu_ms": server_seconds * 1000 / (len(taken) + answers.wrong),
        "asking_cores": own_seconds / seconds,
    }


async def _connect(plan: Plan) -> Answers:
    """Start all users and wait for the first answer."""
    answers, all_requests, loop = Answers(), requests(plan), asyncio.get_running_loop()
    for _ in range(plan.users):
        await loop.create_connection(
            lambda: User(all_requests, plan.status, answers), "127.0.0.1", plan.port
        )
    async with asyncio.timeout(START_TIMEOUT_SECONDS):
        while not (answers.seconds_taken or answers.wrong):
            await asyncio.sleep(0.01)
    return answers


def measured(plan: Plan) -> dict[str, float]:
    """Run a plan in a process of its own and return its figures."""
    command = [sys.executable, "-m", "loadtest.bench.users", json.dumps(asdict(plan))]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    figures: dict[str, float] = json.loads(ended.stdout)
    return figures


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(ask(Plan(**json.loads(sys.argv[1]))))))
