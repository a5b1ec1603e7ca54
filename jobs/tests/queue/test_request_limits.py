"""The request limits of clients. Runs against a real Redis."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.valkey import Valkey
from harness.waiting import wait_for
from jobs.queue import request_limits, stream
from jobs.queue.keys import requests_key
from jobs.queue.redis import hints
from vendors.limits import Window, parse

KEY = requests_key("team-a")


def count(limits: str, client: str = "team-a") -> request_limits.Count:
    counted = request_limits.count(client, parse(limits))
    assert counted is not None, "Redis did not answer"
    return counted


def is_let_in(limits: str, client: str = "team-a") -> bool:
    return count(limits, client).is_let_in


def let_in(limits: str, of: int) -> int:
    """Return how many of that many requests at once are let in."""
    return sum(is_let_in(limits) for _ in range(of))


@pytest.fixture(autouse=True)
def redis(redis_client):
    request_limits.count("nobody", parse("1/s"))  # loads the script
    return redis_client


def test_as_many_requests_are_let_in_as_the_limit_allows():
    rooms = [count("3/min").rooms[0] for _ in range(3)]
    assert [room.remaining for room in rooms] == [2, 1, 0]
    assert all(59 < room.reset_seconds <= 60.1 for room in rooms)
    assert not is_let_in("3/min")
    assert is_let_in("3/min", client="team-b")


def test_every_window_counts():
    assert let_in("2/s, 5/min", 4) == 2
    wait_for(lambda: is_let_in("2/s, 5/min"), "the second to end")
    second, minute = count("2/s, 5/min").rooms
    assert (second.window.calls, second.remaining, minute.remaining) == (2, 0, 1)
    assert minute.reset_seconds > 50 > second.reset_seconds
    wait_for(lambda: is_let_in("2/s, 5/min"), "the next second to end")
    time_left = count("2/s, 5/min")
    assert (time_left.is_let_in, time_left.rooms[1].remaining) == (False, 0)


def test_no_second_holds_more_than_the_limit_over_threads():
    spans: list[tuple[float, float]] = []
    end = time.monotonic() + 3

    def send() -> None:
        while time.monotonic() < end:
            asked_at = time.monotonic()
            if is_let_in("20/s"):
                spans.append((asked_at, time.monotonic()))

    with ThreadPoolExecutor(8) as threads:
        for _ in range(8):
            threads.submit(send)
    spans.sort()
    assert 50 < len(spans) <= 80
    assert all(later[1] - first[0] > 1 for first, later in zip(spans, spans[20:], strict=False))


def test_a_refused_request_counts_nothing():
    started = time.monotonic()
    assert let_in("2/s", 100) == 2
    wait_for(lambda: is_let_in("2/s"), "the limit to let requests in again")
    assert 0.99 < time.monotonic() - started < 1.5


def test_a_changed_limit_counts_what_was_let_in_before(redis):
    assert let_in("3/min", 5) == 3
    assert let_in("5/min", 5) == 2
    assert let_in("2/min", 5) == 0
    assert count("2/min").rooms[0].remaining == 0
    assert let_in("6/min, 100/h", 5) == 1


def test_the_log_is_bounded_and_expires_by_itself(redis):
    redis.rpush(KEY, *range(1000))  # of long ago
    for _ in range(10):
        is_let_in("4/s, 3/min")
    assert redis.llen(KEY) == 4  # as many as the largest limit
    assert 55_000 < redis.pttl(KEY) <= 61_000
    redis.delete(KEY)
    assert is_let_in("4/s, 3/min")


@pytest.mark.parametrize("type_", ["string", "hash", "words", "future"])
def test_a_log_that_can_not_be_trusted_locks_nobody_out(redis, type_):
    seconds, _ = redis.time()
    {
        "string": lambda: redis.set(KEY, "x"),
        "hash": lambda: redis.hset(KEY, "a", 1),
        "words": lambda: redis.rpush(KEY, *["x"] * 9),
        "future": lambda: redis.rpush(KEY, *[(seconds + 3600) * 1_000_000] * 9),
    }[type_]()
    assert let_in("3/min", 5) == 3


def test_a_clock_that_goes_back_a_little_keeps_the_order(redis):
    seconds, microseconds = redis.time()
    newest = seconds * 1_000_000 + microseconds + 500_000
    redis.rpush(KEY, newest)
    assert is_let_in("3/min")
    assert redis.lrange(KEY, 0, -1) == [str(newest)] * 2


def test_a_flush_opens_the_limit_anew(redis):
    assert let_in("3/min", 5) == 3
    redis.flushall()
    assert let_in("3/min", 5) == 3


def test_without_redis_nothing_is_known_and_nobody_waits(settings, tmp_path):
    server = Valkey(tmp_path)
    server.start()
    settings.REDIS_URL = server.url
    hints.cache_clear()
    assert request_limits.count("team-a", parse("1/min")).is_let_in
    server.process.send_signal(19)  # SIGSTOP: it takes connections, and never answers
    try:
        started = time.monotonic()
        assert request_limits.count("team-a", parse("1/min")) is None
        assert time.monotonic() - started < 1
        started = time.monotonic()
        assert request_limits.count("team-a", parse("1/min")) is None
        assert time.monotonic() - started < 0.1
    finally:
        server.kill()
        stream.hints_may_fail.__init__()
        hints.cache_clear()


IN_TIME_US = 45_000
# Ages of requests in the log, in tenths of a second, and windows as calls and seconds. Ages end in
# half a tenth, so that the time that the test takes does not matter.
AGES = st.lists(st.integers(0, 130).map(lambda tenths: tenths / 10 + 0.05), max_size=40).map(sorted)
WINDOWS = st.dictionaries(st.integers(1, 12), st.integers(1, 12), min_size=1, max_size=3).map(
    lambda found: tuple(Window(calls, seconds) for seconds, calls in sorted(found.items()))
)


def model(ages: list[float], windows: tuple[Window, ...]) -> tuple[bool, list[tuple[int, float]]]:
    """Return whether a request is let in, and what each window then has left."""
    inside = [[age for age in ages if age <= window.seconds] for window in windows]
    is_open = all(len(found) < window.calls for found, window in zip(inside, windows, strict=True))
    rooms = []
    for found, window in zip(inside, windows, strict=True):
        counted = ([0.0] if is_open else []) + found
        counted = counted[: window.calls]
        reset = window.seconds - counted[-1] if counted else 0.0
        rooms.append((window.calls - len(counted), reset))
    return is_open, rooms


@given(AGES, WINDOWS)
def test_the_script_agrees_with_a_model(ages, windows):
    counted = count_in_time(ages, windows)
    is_open, rooms = model(ages, windows)
    assert counted.is_let_in == is_open
    assert [room.remaining for room in counted.rooms] == [left for left, _ in rooms]
    for room, (_, reset) in zip(counted.rooms, rooms, strict=True):
        assert room.reset_seconds == pytest.approx(reset, abs=IN_TIME_US / 1e6)


def count_in_time(ages: list[float], windows: tuple[Window, ...]) -> request_limits.Count:
    """Count a request on a log with these ages, before they are any older."""
    client = hints()
    while True:
        client.delete(KEY)
        now = microseconds(client)
        if ages:
            client.rpush(KEY, *[now - round(age * 1_000_000) for age in ages])
        counted = request_limits.count("team-a", windows)
        if counted is not None and microseconds(client) - now < IN_TIME_US:
            return counted


def microseconds(client) -> int:
    seconds, rest = client.time()
    return seconds * 1_000_000 + rest
