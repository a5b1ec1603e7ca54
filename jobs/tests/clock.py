"""Redis' clock, set by tests."""

import pytest

from jobs.queue import redis as queue_redis
from jobs.queue.redis import commands

SECOND = 1_000_000


class Clock:
    """A clock for scripts that moves only when the test says so. Keys also expire by it."""

    TIME = "{ redis.call('GET', 'clock:seconds'), redis.call('GET', 'clock:microseconds') }"

    def __init__(self, now_us):
        self.set(now_us)

    def set(self, now_us):
        self.now_us = now_us
        commands().mset({"clock:seconds": now_us // SECOND, "clock:microseconds": now_us % SECOND})

    def passes(self, us, keys):
        for key in keys:
            if 0 < commands().pttl(key) <= us // 1000:
                commands().delete(key)
        self.set(self.now_us + us)


@pytest.fixture
def scripts_by_the_clock(tmp_path, monkeypatch, redis_client):
    for file in queue_redis.LUA_FOLDER.glob("*.lua"):
        source = file.read_text().replace("redis.call('TIME')", Clock.TIME)
        (tmp_path / file.name).write_text(source)
    monkeypatch.setattr(queue_redis, "LUA_FOLDER", tmp_path)
    queue_redis.script.cache_clear()
    yield
    queue_redis.script.cache_clear()
