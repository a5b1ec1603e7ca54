"""A gunicorn of the tests' own, with no store prepared and no Redis running."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from django.test import override_settings

from enrichlabs import health
from enrichlabs.tests.running import ROOT, environment, get
from tests.ports import free_port
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """Return a function that starts gunicorn as we run it and returns its port."""
    started = []

    def serve(**variables: object) -> int:
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "-c", "python:enrichlabs.gunicorn", "-b", f"127.0.0.1:{port}", "-w", "1"]
        folder = tmp_path_factory.mktemp("gunicorn")
        started.append(subprocess.Popen([*command, "enrichlabs.wsgi"], cwd=ROOT, env=environment(folder, **variables)))
        wait_for(lambda: is_up(port), "gunicorn to answer")
        return port

    yield serve
    for process in started:
        process.terminate()
    for process in started:
        process.wait(15)


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
