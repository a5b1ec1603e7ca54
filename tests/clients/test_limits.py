"""A client's request limits hold over processes."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.clients import make_client, make_key

pytestmark = pytest.mark.about_redis

PARALLEL = 40


@pytest.fixture
def ports(serve_api):
    return serve_api(2)


def test_no_second_has_more_requests_than_the_limit(ports, open_connection):
    make_client("team-a", request_limits="5/s")
    key, end = make_key(), time.monotonic() + 4
    let_in: list[tuple[float, float]] = []
    refused: list[object] = []

    def send(number: int) -> None:
        connection = open_connection(ports[number % 2], key)
        while time.monotonic() < end:
            asked_at = time.monotonic()
            answer = connection.send("GET", "/jobs/x")
            if answer.status == 404:
                let_in.append((asked_at, time.monotonic()))
            elif answer.code != "overloaded":
                refused.append(answer)

    with ThreadPoolExecutor(PARALLEL) as threads:
        list(threads.map(send, range(PARALLEL)))
    let_in.sort()
    # Each was counted between its two times, so six of a second would lie less than one apart.
    assert all(sixth[1] - first[0] > 1 for first, sixth in zip(let_in, let_in[5:], strict=False))
    assert 15 <= len(let_in) <= 25
    assert len(refused) > 100
    for answer in refused:
        assert (answer.status, answer.code) == (429, "rate_limited")
        assert answer.headers["RateLimit-Policy"] == '"second";q=5;w=1'
        assert answer.headers["RateLimit"] == '"second";r=0;t=1'
        assert int(answer.headers["Retry-After"]) >= 1


def test_a_client_over_its_limit_does_not_slow_others_down(ports, open_connection):
    make_client("team-a", request_limits="5/s")
    flooding, quiet, end = make_key("team-a"), make_key("team-b"), time.monotonic() + 3

    def flood(number: int) -> None:
        connection = open_connection(ports[number % 2], flooding)
        while time.monotonic() < end:
            connection.send("GET", "/jobs")

    connection, waits = open_connection(ports[0], quiet), []
    with ThreadPoolExecutor(4) as threads:
        for number in range(4):
            threads.submit(flood, number)
        while time.monotonic() < end:
            started = time.monotonic()
            assert connection.send("GET", "/jobs").status == 200
            waits.append(time.monotonic() - started)
    waits.sort()
    assert waits[len(waits) * 9 // 10] < 0.2
