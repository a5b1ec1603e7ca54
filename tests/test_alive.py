"""python -m enrichlabs.alive checks a worker by its heartbeat."""

import os
import socket
import subprocess
import sys

import pytest

from harness.waiting import wait_for
from jobs.queue.keys import HEARTBEATS
from tests.conftest import ROOT

pytestmark = pytest.mark.about_redis

HOST = socket.gethostname()[:60]


def alive(**environment):
    command = [sys.executable, "-m", "enrichlabs.alive"]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=30,
    )


def test_a_worker_is_alive_until_it_is_killed(start_worker):
    worker = start_worker()
    wait_for(lambda: alive().returncode == 0, "the worker to be alive", seconds=60)
    worker.kill()
    wait_for(lambda: alive().returncode == 1, "the worker to be dead", seconds=60)


@pytest.mark.parametrize("name", ["elsewhere-1-5f0c1a2b", f"{HOST}-2-1-5f0c1a2b"])
def test_a_worker_of_another_host_does_not_count(redis_client, name):
    redis_client.zadd(HEARTBEATS, {name: redis_client.time()[0] * 1000 + 600_000})
    ended = alive()
    assert (ended.returncode, ended.stdout) == (1, f"No worker of {HOST} is alive.\n")


def test_the_check_passes_when_redis_does_not_answer():
    ended = alive(REDIS_URL="redis://127.0.0.1:1")
    assert (ended.returncode, ended.stdout) == (
        0,
        "Unknown: Redis does not answer (ConnectionError).\n",
    )
