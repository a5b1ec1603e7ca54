"""/healthz and /readyz report each missing part with a remedy, and in time."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from django.db.utils import ConnectionHandler
from django.test import Client

from enrichlabs.config.stores import database
from enrichlabs.standalone import preflight
from enrichlabs.web import health
from harness.running import ROOT, get
from harness.stub_mongodb import StubMongoDB
from jobs.queue.heartbeat import HEARTBEAT_TIMEOUT_SECONDS
from jobs.queue.keys import HEARTBEATS

pytestmark = pytest.mark.django_db


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def heartbeat(client: redis.Redis, seconds_ago: float) -> None:
    seconds, microseconds = client.time()
    client.zadd(HEARTBEATS, {"worker": (seconds - seconds_ago) * 1000 + microseconds / 1000})


def test_the_service_is_ready_with_store_redis_and_a_worker(
    client: Client, redis_client: redis.Redis
) -> None:
    heartbeat(redis_client, seconds_ago=0)
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (
        200,
        {"store": "ok", "redis": "ok", "worker": "ok"},
    )


def test_a_silent_worker_is_reported(client: Client, redis_client: redis.Redis) -> None:
    assert (
        client.get("/readyz").json()["worker"]
        == "No worker is alive. Start one: manage.py run_worker."
    )
    heartbeat(redis_client, seconds_ago=HEARTBEAT_TIMEOUT_SECONDS + 100)
    response = client.get("/readyz")
    assert response.status_code == 503
    expected = r"No worker is alive: the last one has been silent for 10\d s\. .*"
    assert re.fullmatch(expected, response.json()["worker"])


def test_a_redis_that_does_not_answer_is_reported(
    client: Client, redis_at: Callable[[str], None]
) -> None:
    redis_at("redis://127.0.0.1:1")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "store": "ok",
        "redis": "Redis does not answer (ConnectionError). Start it, or correct REDIS_URL. "
        "Until then, jobs are accepted and wait.",
        "worker": "Unknown until Redis can be used.",
    }


def test_a_redis_that_hangs_is_reported_in_time(
    client: Client, redis_at: Callable[[str], None], silent: int
) -> None:
    redis_at(f"redis://127.0.0.1:{silent}")
    began = time.monotonic()
    assert "TimeoutError" in client.get("/readyz").json()["redis"]
    assert time.monotonic() - began < 2.5


def test_a_store_without_tables_is_reported(serve: Callable[..., int], tmp_path: Path) -> None:
    empty = f"sqlite:///{tmp_path}/empty.sqlite3"
    status, body = get(serve(SERVES="mock", DATABASE_URL=empty), "/readyz")
    assert status == 503
    assert b"The tables of the store are missing or old. Run manage.py migrate." in body


def test_a_replica_set_without_a_primary_is_reported(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = StubMongoDB(
        {"setName": "rs", "secondary": True, "isWritablePrimary": False, "ismaster": False}
    )
    url = f"mongodb://hid:den@{server.address}/?replicaSet=rs"
    connection = ConnectionHandler({"default": {}, "away": database(url, ROOT)})["away"]
    monkeypatch.setattr(preflight, "connection", connection)
    said = client.get("/readyz").json()["store"]
    assert said.startswith("The replica set has no primary. Check rs.status(): ")
    connection.close_pool()
    server.close()


@pytest.mark.parametrize("made", [[], [{"name": "vendors_vendor"}]])
def test_a_mongodb_without_tables_is_reported(
    monkeypatch: pytest.MonkeyPatch, made: list[dict[str, object]]
) -> None:
    found = {"cursor": {"id": 0, "ns": "jobs.$cmd.listCollections", "firstBatch": made}}
    server = StubMongoDB({}, buildinfo={"versionArray": [8, 0, 0, 0]}, listcollections=found)
    connection = ConnectionHandler(
        {"default": {}, "empty": database(f"mongodb://{server.address}/", ROOT)}
    )["empty"]
    monkeypatch.setattr(preflight, "connection", connection)
    missing = "The tables of the store are missing or old. Run manage.py migrate."
    assert health.store() == ("ok" if made else missing)
    connection.close_pool()
    server.close()


def test_a_store_that_hangs_is_reported_in_time_and_the_process_is_alive(
    serve: Callable[..., int], silent: int
) -> None:
    port = serve(
        SERVES="mock",
        DATABASE_URL=f"mongodb://127.0.0.1:{silent}/",
        REDIS_URL="redis://127.0.0.1:1",
    )
    began = time.monotonic()
    status, body = get(port, "/readyz")
    assert time.monotonic() - began < 3
    assert status == 503
    assert b"MongoDB does not answer in time." in body
    assert str(silent).encode() not in body
    assert get(port, "/healthz") == (200, b'{"status": "ok"}')
