"""Uploads a batch of 50,000 rows, during which the API is killed twice, waits for the results and
reads them. Starts its own service, and speaks only HTTP to it.

    .venv/bin/python -m loadtest.batches --rows 50000

loadtest/README.md explains the figures.
"""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from itertools import count
from typing import Any
from urllib.parse import urlencode

from harness.streaming import NO_ANSWER, Streamed, post_pieces
from loadtest.memory import observed
from loadtest.own_service import OwnService, own_service, say
from loadtest.slow_clients import beside_slow_clients

VENDOR = """
[vendors.sync]
adapter = "sync"
url = "{mocks}/sync"
max_queued = 1000000
"""
PIECE_BYTES = 64 * 1024
READ_BYTES = 64 * 1024
WARM_ROWS = 1000
AGAIN_SECONDS = 0.5
TIMEOUT_SECONDS = 120
KEY = "people.csv"
MAX_SHOWN = 5


def main() -> None:
    options = read_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the service is stopped, too
    with own_service(VENDOR) as service:
        warm = upload(service, "warm", WARM_ROWS)
        finish(service, warm["batch_id"])
        batch_id = measure_upload(service, options.rows, kills=options.kills)
        since = time.monotonic()
        finish(service, batch_id)
        say(f"finished   {time.monotonic() - since:.1f} s after the upload")
        problems = measure_download(service, batch_id, options.rows)
        beside_slow_clients(service, batch_id, options.seconds)
    for problem in problems[:MAX_SHOWN]:
        say(problem)
    sys.exit(1 if problems else 0)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument(
        "--no-kills", dest="kills", action="store_false", help="do not kill the API"
    )
    parser.add_argument(
        "--seconds", type=float, default=10, help="how long slow clients are beside others"
    )
    return parser.parse_args()


def row_of(index: int) -> dict[str, Any]:
    name = f"Person {index:05d}"
    return {"name": name, "email": f"person.{index}@example.com", "company": "Example " * 12}


def lines(rows: int) -> Iterator[bytes]:
    for index in range(rows):
        yield json.dumps(row_of(index)).encode() + b"\n"


def pieces(rows: int) -> Iterator[bytes]:
    """Yield the upload in pieces that end in the middle of lines."""
    rest = b""
    for line in lines(rows):
        rest += line
        while len(rest) >= PIECE_BYTES:
            yield rest[:PIECE_BYTES]
            rest = rest[PIECE_BYTES:]
    yield rest


def measure_upload(service: OwnService, rows: int, *, kills: bool) -> str:
    """Upload the rows, and kill the API twice meanwhile. Returns the batch's id."""
    size = sum(map(len, lines(rows)))
    # A worker may not be the one that reads the upload, so both are killed.
    plan = [(1 / 4, "worker"), (1 / 4, "worker"), (2 / 3, "all")] if kills else []
    since = time.monotonic()
    with observed(service) as memory:
        answer = upload(service, KEY, rows, Killer(service, plan, size).watch)
    seconds = time.monotonic() - since
    say(f"upload     {rows} rows, {size / 1e6:.1f} MB in {seconds:.1f} s: {rows / seconds:.0f}/s")
    say(f"           {answer['attempts']} requests, the last one {answer['last_seconds']:.1f} s")
    say(f"           {memory}")
    return str(answer["batch_id"])


class Killer:
    """Kills the API when a part of an upload was sent."""

    def __init__(self, service: OwnService, plan: list[tuple[float, str]], size: int) -> None:
        self._service, self._plan, self._size = service, plan, size

    def watch(self, upload: Iterator[bytes]) -> Iterator[bytes]:
        sent = 0
        for piece in upload:
            if self._plan and sent >= self._plan[0][0] * self._size:
                _, what = self._plan.pop(0)
                if what == "all":
                    self._service.kill_api()
                else:
                    self._service.kill_api_worker()
                say(f"           killed {what} after {sent / self._size:.0%} of a request")
            sent += len(piece)
            yield piece


def upload(
    service: OwnService,
    key: str,
    rows: int,
    watch: Callable[[Iterator[bytes]], Iterator[bytes]] = lambda upload: upload,
) -> dict[str, Any]:
    """Upload rows, as often as it takes; return the last answer."""
    query = urlencode({"vendor": "sync", "reference": key})
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": key}
    for attempt in count(1):
        since = time.monotonic()
        answer = attempted(f"{service.url}/batches?{query}", headers, watch(pieces(rows)))
        if answer and answer.status == 202:
            more = {"attempts": attempt, "last_seconds": time.monotonic() - since}
            return {**json.loads(answer.body), **more}
        if answer and answer.status not in (408, 429, 503):
            sys.exit(f"The upload was answered {answer.status}: {answer.body.decode()}")
        time.sleep(AGAIN_SECONDS)
    raise AssertionError


def attempted(url: str, headers: dict[str, str], upload: Iterator[bytes]) -> Streamed | None:
    try:
        return post_pieces(url, headers, upload, timeout_seconds=TIMEOUT_SECONDS)
    except NO_ANSWER as error:
        say(f"           {type(error).__name__}")
        return None


def finish(service: OwnService, batch_id: str) -> None:
    """Wait until the batch is finished."""
    state, headers = "", {"Prefer": "wait=30"}
    while state != "finished":
        connection = HTTPConnection("127.0.0.1", service.port, timeout=TIMEOUT_SECONDS)
        connection.request("GET", f"/batches/{batch_id}", headers=headers)
        state = json.load(connection.getresponse())["state"]
        connection.close()


def measure_download(service: OwnService, batch_id: str, rows: int) -> list[str]:
    """Read the results in both formats; return what is wrong with them."""
    with observed(service) as memory:
        since = time.monotonic()
        problems = list(wrong(read(service, batch_id, "ndjson"), rows))
        seconds = time.monotonic() - since
        say(f"download   {rows} lines of NDJSON in {seconds:.1f} s: {rows / seconds:.0f}/s")
        since = time.monotonic()
        found = sum(1 for _ in read(service, batch_id, "csv"))
        say(f"           {found} lines of CSV in {time.monotonic() - since:.1f} s")
    say(f"           {memory}")
    if found != rows + 1:
        problems.append(f"the CSV file has {found} lines")
    say(f"wrong      {len(problems)}")
    return problems


def read(service: OwnService, batch_id: str, name: str) -> Iterator[bytes]:
    """Yield the lines of a results file."""
    connection = HTTPConnection("127.0.0.1", service.port, timeout=TIMEOUT_SECONDS)
    connection.request("GET", f"/batches/{batch_id}/results?format={name}")
    response = connection.getresponse()
    if response.status != 200:
        sys.exit(f"The results were answered {response.status}: {response.read().decode()}")
    yield from response
    connection.close()


def wrong(results: Iterator[bytes], rows: int) -> Iterator[str]:
    """Yield what is not as it should be: each row once, in order, with its own result."""
    expected = 0
    for expected, text in enumerate(results):
        line = json.loads(text)
        name = line.get("result", {}).get("name")
        if (line["index"], line["status"], name) != (
            expected,
            "complete",
            row_of(expected)["name"],
        ):
            yield f"line {expected} is that of row {line['index']}: {line['status']} {name}"
    if expected + 1 != rows:
        yield f"the file has {expected + 1} lines"


if __name__ == "__main__":
    main()
