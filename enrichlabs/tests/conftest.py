"""A gunicorn of the tests' own, with an empty store and no Redis running."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.test import override_settings

from enrichlabs.web import health
from harness.ports import free_port
from harness.running import ROOT, environment, get
from harness.waiting import wait_for

STORE = "enrichlabs.sqlite3"


@dataclass
class Gunicorn:
    port: int
    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def log(self) -> str:
        """What it has written to standard error."""
        return self.folder.with_suffix(".log").read_text()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables and no rows."""
    folder = tmp_path_factory.mktemp("migrated")
    command = [sys.executable, "manage.py", "migrate", "--verbosity=0"]
    subprocess.run(command, cwd=ROOT, env=environment(folder), check=True)
    return folder / STORE


@pytest.fixture(scope="module")
def gunicorn(
    tmp_path_factory: pytest.TempPathFactory, migrated: Path
) -> Iterator[Callable[..., Gunicorn]]:
    """Return a function that starts gunicorn as we run it, with the named variables. Unless they
    say otherwise, requests need no API key.
    """
    started: list[Gunicorn] = []

    def start(app: str = "enrichlabs.wsgi", **variables: object) -> Gunicorn:
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "-c",
            "python:enrichlabs.gunicorn",
            "-b",
            f"127.0.0.1:{port}",
            "-w",
            "1",
        ]
        folder = tmp_path_factory.mktemp("gunicorn")
        shutil.copy(migrated, folder / STORE)
        with folder.with_suffix(".log").open("w") as log:
            process = subprocess.Popen(
                [*command, app],
                cwd=ROOT,
                env=environment(folder, **{"ALLOW_ANONYMOUS": 1, **variables}),
                stderr=log,
            )
        started.append(Gunicorn(port, folder, process))
        wait_for(lambda: is_up(port) or process.poll() is not None, "gunicorn to answer")
        assert process.poll() is None, started[-1].log
        return started[-1]

    yield start
    for each in started:
        each.process.terminate()
    for each in started:
        each.process.wait(15)


@pytest.fixture(scope="module")
def serve(gunicorn: Callable[..., Gunicorn]) -> Callable[..., int]:
    """Return a function that starts gunicorn and returns its port."""
    return lambda **variables: gunicorn(**variables).port


def is_up(port: int) -> bool:
    try:
        return get(port, "/healthz")[0] == 200
    except OSError:
        return False


@pytest.fixture
def redis_at() -> Iterator[Callable[[str], None]]:
    """Have this process look for Redis elsewhere."""
    with ExitStack() as until_the_end:

        def look(url: str) -> None:
            until_the_end.enter_context(override_settings(REDIS_URL=url))
            health.client.cache_clear()

        yield look
    health.client.cache_clear()
