"""gunicorns on the store of the test, as many as it wants."""

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.ports import free_port
from harness.running import ROOT, environment, get
from harness.waiting import wait_for
from tests.conftest import store_url


class Connection:
    """A kept-alive connection. It is opened again if the server closes it."""

    def __init__(self, port: int, key: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def send(
        self, method: str = "GET", path: str = "/jobs", data: Any = None, **headers: str
    ) -> "Answer":
        body = json.dumps(data) if data is not None else None
        all_headers = {**self._headers, "Content-Type": "application/json", **headers}
        self._connection.request(method, path, body, all_headers)
        response = self._connection.getresponse()
        return Answer(response.status, response.read(), response.headers)

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Any

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


Serve = Callable[..., list[int]]


@pytest.fixture
def serve_api(
    transactional_db: None, redis_client: object, valkey: Any, tmp_path: Path
) -> Iterator[Serve]:
    """Return a function that starts gunicorns with one process each, and returns their ports."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(count: int = 1, **variables: object) -> list[int]:
        ports = [free_port() for _ in range(count)]
        settings = {"DATABASE_URL": store_url(), "REDIS_URL": valkey.url, **variables}
        for port in ports:
            command = ["gunicorn", "-c", "python:enrichlabs.gunicorn", "-w", "1"]
            address = ["-b", f"127.0.0.1:{port}", "enrichlabs.wsgi"]
            with (tmp_path / f"gunicorn-{port}.log").open("w") as log:
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", *command, *address],
                        cwd=ROOT,
                        env=environment(tmp_path / "data", **settings),
                        stderr=log,
                    )
                )
        for port in ports:
            wait_for(lambda port=port: is_up(port), "gunicorn to answer", 60)
        return ports

    yield start
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(20)


def is_up(port: int) -> bool:
    try:
        return get(port, "/healthz")[0] == 200
    except OSError:
        return False


@pytest.fixture
def open_connection() -> Iterator[Callable[..., Connection]]:
    opened: list[Connection] = []

    def connect(port: int, key: str = "") -> Connection:
        opened.append(Connection(port, key))
        return opened[-1]

    yield connect
    for connection in opened:
        with closing(connection):
            pass
