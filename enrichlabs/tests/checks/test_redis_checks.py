"""Checks of Redis: whether it answers, accepts writes and keeps its data."""

import socket
import time
from collections.abc import Callable

import pytest
import redis

from enrichlabs.checks import redis as redis_checks
from enrichlabs.tests.checks.issues import found
from jobs.queue.redis_errors import OOM

pytestmark = pytest.mark.usefixtures("well_configured")


def test_eviction_and_missing_persistence_are_reported(db: None, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    assert found() == ["enrichlabs.W024"]
    redis_client.config_set("appendonly", "no")
    assert found() == ["enrichlabs.W024", "enrichlabs.W025"]


def test_a_redis_that_forbids_config_is_checked_too(
    db: None, redis_client: redis.Redis, redis_at: Callable[[str], None]
) -> None:
    redis_client.acl_setuser(
        "managed", enabled=True, passwords=["+pass"], keys=["*"], commands=["+@all", "-config"]
    )
    redis_client.config_set("appendonly", "no")
    redis_at(f"unix://managed:pass@{redis_client.connection_pool.connection_kwargs['path']}")
    assert found() == ["enrichlabs.W025"]
    redis_client.acl_deluser("managed")


def test_a_redis_that_refuses_writes_is_reported(db: None, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory", 1)
    try:
        [issue] = [issue for issue in redis_checks.check_server() if issue.id == "enrichlabs.W027"]
    finally:
        redis_client.config_set("maxmemory", 0)
    assert f"{issue.msg} {issue.hint}" == OOM


def test_a_redis_that_hangs_is_reported_within_seconds(redis_at: Callable[[str], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        redis_at(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        [issue] = redis_checks.check_server()
    assert issue.id == "enrichlabs.W021"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1", "redis://none.invalid", "no://address", "redis://:hid/den@host"]
)
def test_a_redis_that_does_not_answer_is_reported(
    redis_at: Callable[[str], None], url: str
) -> None:
    redis_at(url)
    [issue] = redis_checks.check_server()
    assert issue.id == "enrichlabs.W021"
    assert "hid" not in f"{issue.msg} {issue.hint}"


@pytest.mark.parametrize("seconds", [-10, 10])
def test_a_clock_difference_is_reported(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time
    monkeypatch.setattr(redis_checks.time, "time", lambda: now() + seconds)
    [issue] = redis_checks.check_server()
    assert issue.id == "enrichlabs.W026"
    assert f"10.0 s {'ahead of' if seconds < 0 else 'behind'} this machine's" in issue.msg


@pytest.mark.parametrize(
    ("server", "issue"),
    [
        ({"redis_version": "6.2.14"}, "enrichlabs.E022"),
        ({"redis_version": "7.4.1", "redis_mode": "cluster"}, "enrichlabs.E023"),
    ],
)
def test_an_unsuitable_redis_is_an_error(
    monkeypatch: pytest.MonkeyPatch, server: dict[str, str], issue: str
) -> None:
    class FakeRedis:
        def info(self, *sections: str) -> dict[str, object]:
            return {"aof_enabled": 1, **server}

        def time(self) -> tuple[int, int]:
            return int(time.time()), 0

    monkeypatch.setattr(redis_checks, "connect", lambda seconds: FakeRedis())
    assert [each.id for each in redis_checks.check_server()] == [issue]
