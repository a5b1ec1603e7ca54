"""/healthz and /readyz: each missing part is named, with what to do, and in time."""

import re
import socket
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from django.db.utils import ConnectionHandler
from django.test import Client, override_settings

from enrichlabs.config.stores import database
from enrichlabs.web import health
from harness.running import ROOT, get
from harness.stub_mongodb import PretendedMongoDB
from jobs.queue.heartbeat import HEARTBEAT_TIMEOUT_SECONDS
from jobs.queue.keys import HEARTBEATS

pytestmark = pytest.mark.django_db


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def heartbeat(client: redis.Redis, seconds_ago: float) -> None:
    seconds, microseconds = client.time()
    client.zadd(HEARTBEATS, {"worker": (seconds - seconds_ago) * 1000 + microseconds / 1000})


def test_it_is_ready_with_store_redis_and_a_worker(
    client: Client, redis_client: redis.Redis
) -> None:
    heartbeat(redis_client, seconds_ago=0)
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (
        200,
        {"store": "ok", "redis": "ok", "worker": "ok"},
    )


def test_a_worker_that_was_silent_for_too_long_is_missed(
    client: Client, redis_client: redis.Redis
) -> None:
    assert (
        client.get("/readyz").json()["worker"]
        == "No worker is alive. Start one: manage.py run_worker."
    )
    heartbeat(redis_client, seconds_ago=HEARTBEAT_TIMEOUT_SECONDS + 100)
    response = client.get("/readyz")
    assert response.status_code == 503
    told = r"No worker is alive: the last one has been silent for 10\d s. It may be frozen. Restart it, or start another: .*"
    assert re.fullmatch(told, response.json()["worker"])


def test_a_redis_that_is_away_is_named(client: Client, redis_at: Callable[[str], None]) -> None:
    redis_at("redis://127.0.0.1:1")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json() == {
        "store": "ok",
        "redis": "Redis does not answer (ConnectionError). Start it; jobs are kept meanwhile.",
        "worker": "Unknown as long as Redis does not answer.",
    }


def test_a_redis_that_hangs_is_named_in_time(
    client: Client, redis_at: Callable[[str], None], silent: int
) -> None:
    redis_at(f"redis://127.0.0.1:{silent}")
    began = time.monotonic()
    assert "TimeoutError" in client.get("/readyz").json()["redis"]
    assert time.monotonic() - began < 2.5


def test_a_store_without_tables_is_named(serve: Callable[..., int]) -> None:
    status, body = get(serve(SERVES="mock"), "/readyz")
    assert status == 503
    assert b"The tables of the store are missing or old. Run manage.py migrate." in body


def test_a_replica_set_without_a_primary_is_named(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = PretendedMongoDB(
        {"setName": "rs", "secondary": True, "isWritablePrimary": False, "ismaster": False}
    )
    url = f"mongodb://hid:den@{server.address}/?replicaSet=rs"
    connection = ConnectionHandler({"default": {}, "away": database(url, ROOT)})["away"]
    monkeypatch.setattr(health, "connection", connection)
    with override_settings(ON_MONGODB=True):
        said = client.get("/readyz").json()["store"]
    assert (
        said
        == "The replica set has no primary. Check rs.status(): a majority of its members must be up and connected."
    )
    connection.close_pool()
    server.close()


@pytest.mark.parametrize("made", [[], [{"name": "vendors_vendor"}]])
def test_a_mongodb_without_tables_is_named(
    monkeypatch: pytest.MonkeyPatch, made: list[dict[str, object]]
) -> None:
    found = {"cursor": {"id": 0, "ns": "jobs.$cmd.listCollections", "firstBatch": made}}
    server = PretendedMongoDB({}, buildinfo={"versionArray": [8, 0, 0, 0]}, listcollections=found)
    connection = ConnectionHandler(
        {"default": {}, "empty": database(f"mongodb://{server.address}/", ROOT)}
    )["empty"]
    monkeypatch.setattr(health, "connection", connection)
    with override_settings(ON_MONGODB=True):
        assert health.store() == (
            "ok" if made else "The tables of the store are missing. Run manage.py migrate."
        )
    connection.close_pool()
    server.close()


def test_a_store_that_hangs_is_named_in_time_and_the_process_is_alive(
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
