"""A Redis that answers but refuses commands: /readyz and enrichlabs.alive report the remedy."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from django.test import Client

from enrichlabs import alive
from enrichlabs.tests.web.test_health import heartbeat
from harness.waiting import wait_for
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.queue.redis_errors import OOM, WRONG_TYPE, refusal

pytestmark = [pytest.mark.django_db, pytest.mark.about_redis]

OUT_OF_MEMORY = OOM.partition(".")[0]
READONLY = "Redis is a replica and refuses to write."
NO_PERMISSION = "The Redis user of REDIS_URL lacks a "


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
def denied(client: redis.Redis, *rules: str) -> Iterator[None]:
    client.execute_command("ACL", "SETUSER", "default", *rules)
    try:
        yield
    finally:
        client.execute_command("ACL", "SETUSER", "default", "~*", "+@all")


@contextmanager
def failing_save(client: redis.Redis) -> Iterator[None]:
    """A save that fails because a folder has the name of its file."""
    folder = Path(client.config_get("dir")["dir"]) / "dump.rdb"
    folder.mkdir()
    client.config_set("save", "3600 1")
    client.bgsave()
    try:
        wait_for(
            lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err",
            "the save to fail",
        )
        yield
    finally:
        folder.rmdir()
        client.config_set("save", "")


REFUSALS = [
    (failing_save, "Redis can't save to its disk and refuses to write."),
    (lambda client: configured(client, "maxmemory", 1), OUT_OF_MEMORY),
    (replica, READONLY),
    (
        lambda client: configured(client, "min-replicas-to-write", 1),
        "Redis has fewer replicas than its min-replicas-to-write",
    ),
    (lambda client: denied(client, "-xreadgroup"), NO_PERMISSION),
    (lambda client: denied(client, "-xadd"), NO_PERMISSION),
    (lambda client: denied(client, "-@scripting"), NO_PERMISSION),
    (lambda client: denied(client, "resetkeys", "~other:*"), NO_PERMISSION),
]


@pytest.mark.parametrize(("fault", "reason"), REFUSALS)
def test_readyz_reports_what_redis_refuses(
    client: Client, redis_client: redis.Redis, fault: Callable, reason: str
) -> None:
    with fault(redis_client):
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["redis"].startswith(reason)
    assert answer.json()["worker"] == "Unknown until Redis can be used."


def test_readyz_reports_a_live_worker_while_redis_refuses(
    client: Client, redis_client: redis.Redis
) -> None:
    heartbeat(redis_client, seconds_ago=0)
    with denied(redis_client, "-xreadgroup"):
        answer = client.get("/readyz").json()
    assert answer["redis"].startswith(NO_PERMISSION)
    assert answer["worker"] == "ok"


@pytest.mark.parametrize(
    "name", ["jobs", "retries", "polls", "freed", "log", "in_flight", "state", "pause"]
)
def test_readyz_reports_a_key_of_the_wrong_type(
    client: Client, redis_client: redis.Redis, make_vendor: Callable, name: str
) -> None:
    make_vendor("acme")
    key = getattr(Keys("acme"), name)
    redis_client.sadd(key, "x")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["redis"]) == (503, WRONG_TYPE.format(key))


def test_readyz_accepts_our_own_keys_and_changes_none(
    client: Client, redis_client: redis.Redis, make_vendor: Callable
) -> None:
    make_vendor("acme")
    keys = Keys("acme")
    for stream in (keys.jobs, keys.retries, keys.polls, keys.freed):
        redis_client.xadd(stream, {"v": "1"})
    redis_client.lpush(keys.log, 1)
    redis_client.zadd(keys.in_flight, {"job": 1})
    redis_client.hset(keys.state, "newest", 1)
    heartbeat(redis_client, seconds_ago=0)
    before = set(redis_client.keys())
    assert client.get("/readyz").json() == {"store": "ok", "redis": "ok", "worker": "ok"}
    assert set(redis_client.keys()) == before


def test_alive_passes_while_redis_refuses_heartbeats(
    redis_client: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    redis_client.delete(HEARTBEATS)
    with configured(redis_client, "maxmemory", 1):
        assert alive.main() == 0
    assert capsys.readouterr().out.startswith(OUT_OF_MEMORY)
    assert alive.main() == 1


def test_a_broken_key_of_one_vendor_does_not_affect_another(
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


def test_a_refusal_inside_a_pipeline_is_recognized() -> None:
    text = "Command # 1 (XADD enrich:{a}:jobs * v 1) of pipeline caused error: MISCONF Redis is"
    assert refusal(redis.ResponseError(text)).startswith("Redis can't save to its disk")


def test_requests_log_once_that_redis_refuses(
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
    messages = [record.getMessage() for record in caplog.records]
    [message] = [message for message in messages if "Redis" in message]
    assert message.startswith(OUT_OF_MEMORY)
    wait_for(lambda: redis_client.set("x", 1), "Redis to accept writes again")
