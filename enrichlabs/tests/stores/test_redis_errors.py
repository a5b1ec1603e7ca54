"""A Redis that answers and refuses: /readyz and the health check of a worker name what it refuses,
and what to do.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from django.test import Client

from enrichlabs import alive
from enrichlabs.tests.web.test_health import heartbeat
from harness.waiting import wait_for
from jobs.queue.keys import COUNTERS, HEARTBEATS, Keys
from jobs.queue.redis_errors import refusal

pytestmark = [pytest.mark.django_db, pytest.mark.about_redis]

OOM = "Redis is out of memory and refuses to write."
READONLY = "Redis is a replica and refuses to write."
NO_RIGHT = "The Redis user of REDIS_URL lacks a permission."


@contextmanager
def configured(client: redis.Redis, name: str, value: int) -> Iterator[None]:
    client.config_set(name, value)
    try:
        yield
    finally:
        client.config_set(name, 0)


@contextmanager
def replica(client: redis.Redis) -> Iterator[None]:
    client.replicaof("127.0.0.1", "1")
    try:
        yield
    finally:
        client.replicaof("NO", "ONE")


@contextmanager
def without_right(client: redis.Redis, *rules: str) -> Iterator[None]:
    client.execute_command("ACL", "SETUSER", "default", *rules)
    try:
        yield
    finally:
        client.execute_command("ACL", "SETUSER", "default", "~*", "+@all")


@contextmanager
def unsaved(client: redis.Redis) -> Iterator[None]:
    """A save that fails, since a folder has the name of its file."""
    taken = Path(client.config_get("dir")["dir"]) / "dump.rdb"
    taken.mkdir()
    client.config_set("save", "3600 1")
    client.bgsave()
    try:
        wait_for(
            lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err",
            "the save to fail",
        )
        yield
    finally:
        taken.rmdir()
        client.config_set("save", "")


REFUSALS = [
    (unsaved, "Redis can't save to its disk and refuses to write."),
    (lambda client: configured(client, "maxmemory", 1), OOM),
    (replica, READONLY),
    (
        lambda client: configured(client, "min-replicas-to-write", 1),
        "Redis has fewer replicas than its min-replicas-to-write",
    ),
    (lambda client: without_right(client, "-xreadgroup"), NO_RIGHT),
    (lambda client: without_right(client, "-xadd"), NO_RIGHT),
    (lambda client: without_right(client, "-@scripting"), NO_RIGHT),
    (lambda client: without_right(client, "resetkeys", "~other:*"), NO_RIGHT),
]


@pytest.mark.parametrize(("fault", "says"), REFUSALS)
def test_readiness_names_what_redis_refuses(
    client: Client, redis_client: redis.Redis, fault: Callable, says: str
) -> None:
    with fault(redis_client):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["redis"].startswith(says)
    assert answer.json()["worker"] == "Unknown until Redis can be used."


def test_a_live_worker_is_not_denied_for_it(client: Client, redis_client: redis.Redis) -> None:
    heartbeat(redis_client, seconds_ago=0)
    with without_right(redis_client, "-xreadgroup"):
        answer = client.get("/readyz").json()
    assert answer["redis"].startswith(NO_RIGHT)
    assert answer["worker"] == "ok"


@pytest.mark.parametrize("name", ["jobs", "retries", "freed", "log", "in_flight", "state", "pause"])
def test_readiness_names_a_key_that_holds_something_else(
    client: Client, redis_client: redis.Redis, make_vendor: Callable, name: str
) -> None:
    make_vendor("acme")
    key = getattr(Keys("acme"), name)
    redis_client.sadd(key, "x")
    answer = client.get("/readyz")
    said = f"Redis holds a value of the wrong type in a key of this service ({key}). Delete that key; no job is lost."
    assert (answer.status_code, answer.json()["redis"]) == (503, said)


def test_what_is_as_it_should_be_is_no_fault(
    client: Client, redis_client: redis.Redis, make_vendor: Callable
) -> None:
    make_vendor("acme")
    keys = Keys("acme")
    for stream in (keys.jobs, keys.retries, keys.freed):
        redis_client.xadd(stream, {"v": "1"})
    redis_client.lpush(keys.log, 1)
    redis_client.zadd(keys.in_flight, {"job": 1})
    redis_client.hset(keys.state, "newest", 1)
    redis_client.hset(COUNTERS, "rebuilds|acme", 1)
    heartbeat(redis_client, seconds_ago=0)
    before = set(redis_client.keys())
    assert client.get("/readyz").json() == {"store": "ok", "redis": "ok", "worker": "ok"}
    assert set(redis_client.keys()) == before


def test_a_redis_that_takes_no_beat_says_nothing_about_a_worker(
    redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    redis_client.delete(HEARTBEATS)
    with configured(redis_client, "maxmemory", 1):
        assert alive.main() == 0
    assert capsys.readouterr().out.startswith(OOM)
    assert alive.main() == 1


def test_one_vendors_key_keeps_no_hint_from_another(
    client: Client,
    redis_client: redis.Redis,
    make_vendor: Callable,
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_vendor("acme")
    make_vendor("other")
    redis_client.set(Keys("acme").jobs, "x")
    for vendor in ("acme", "other"):
        assert (
            client.post(
                "/jobs", {"vendor": vendor, "name": "J"}, content_type="application/json"
            ).status_code
            == 202
        )
    assert redis_client.xlen(Keys("other").jobs) == 1
    assert not [record for record in caplog.records if record.name == "jobs.queue.stream"]


def test_a_refusal_inside_a_pipeline_is_named() -> None:
    error = redis.ResponseError(
        "Command # 1 (XADD enrich:{a}:jobs * v 1) of pipeline caused error: MISCONF Redis is configured"
    )
    assert refusal(error).startswith("Redis can't save to its disk")


def test_requests_say_once_that_redis_refuses(
    client: Client,
    redis_client: redis.Redis,
    make_vendor: Callable,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_vendor("acme")
    monkeypatch.setattr("jobs.queue.stream.COOL_OFF_SECONDS", 0)
    with configured(redis_client, "maxmemory", 1):
        for _ in range(3):
            answer = client.post(
                "/jobs", {"vendor": "acme", "name": "J"}, content_type="application/json"
            )
            assert answer.status_code == 202
    assert [record.getMessage() for record in caplog.records if "Redis" in record.getMessage()] == [
        f"{OOM} Raise its maxmemory, or delete other data. Jobs are kept and start when it is back."
    ]
    wait_for(lambda: redis_client.set("x", 1), "Redis to take something again")
