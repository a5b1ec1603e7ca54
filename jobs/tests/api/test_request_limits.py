"""A client's request limits: what its requests are told, and when they are refused."""

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from clients.directory import directory
from harness.clients import bearer, make_client, make_key
from jobs.models import Job
from jobs.queue import stream
from jobs.queue.keys import requests_key
from tests.counting import asking_redis

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]

POLICY = '"minute";q=3;w=60'


@pytest.fixture
def key(make_vendor):
    make_vendor("acme")
    make_client("team-a", request_limits="3/min")
    return make_key("team-a")


@pytest.fixture
def send(client):
    def send(key, path="/jobs", method="GET", **more):
        return client.generic(method, path, headers=bearer(key), **more)

    return send


def state(answer) -> tuple[int, int]:
    """Return the remaining requests and the seconds of the field RateLimit."""
    assert answer["RateLimit-Policy"] == POLICY
    return tuple(map(int, re.fullmatch(r'"minute";r=(\d+);t=(\d+)', answer["RateLimit"]).groups()))


def test_answers_count_down_and_the_fourth_request_is_refused(send, key):
    states = [state(send(key)) for _ in range(3)]
    assert [left for left, _ in states] == [2, 1, 0]
    assert all(58 <= seconds <= 60 for _, seconds in states)
    refused = send(key)
    left, seconds = state(refused)
    problem = refused.json()
    assert (refused.status_code, problem["code"], left) == (429, "rate_limited", 0)
    assert int(refused["Retry-After"]) >= seconds
    assert problem["detail"] == (
        f"This client's limit of 3 requests per minute is reached. Retry after {seconds} s."
    )
    assert refused["Content-Type"] == "application/problem+json"
    assert (refused["Cache-Control"], refused["Vary"]) == ("no-store", "Authorization")


def test_all_requests_of_a_client_count_whatever_their_answer(send, key):
    other_key = make_key("team-a")
    answers = [
        send(key, "/jobs/x"),
        send(other_key, "/jobs", "POST", data="{", content_type="application/json"),
        send(key, "/jobs", "PUT"),
    ]
    assert [answer.status_code for answer in answers] == [404, 400, 405]
    assert [state(answer)[0] for answer in answers] == [2, 1, 0]
    posted = send(
        key,
        "/jobs",
        "POST",
        data='{"vendor": "acme", "name": "J"}',
        content_type="application/json",
    )
    assert posted.status_code == 429
    assert not Job.objects.exists()
    assert send(make_key("team-b")).status_code == 200


@pytest.mark.parametrize("path", ["/vendors", "/metrics"])
def test_other_routes_of_the_api_count_too(send, key, path):
    assert [state(send(key, path))[0] for _ in range(3)] == [2, 1, 0]
    refused = send(key, path)
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert send(key).status_code == 429


def test_what_is_not_allowed_counts_nothing(send, client, key):
    reader = make_key("team-a", scopes="metrics:read")
    for _ in range(5):
        assert send(reader).status_code == 403
        assert client.get("/jobs").status_code == 401
        assert client.get("/jobs", headers={**bearer(key), "Origin": "null"}).status_code == 403
    assert state(send(key))[0] == 2


def test_every_window_is_shown_and_the_longest_wait_is_told(send, key):
    make_client("team-a", request_limits="2/10s, 1000/h, 5/day, 100/s".replace("10s", "10 s"))
    answer = send(key)
    names = ["second", "10s", "hour", "day"]
    assert re.findall(r'"(\w+)"', answer["RateLimit-Policy"]) == names
    assert re.findall(r'"(\w+)"', answer["RateLimit"]) == names
    assert answer["RateLimit-Policy"].endswith('"hour";q=1000;w=3600, "day";q=5;w=86400')
    assert '"second";r=99;t=1, "10s";r=1;t=' in answer["RateLimit"]
    send(key)
    refused = send(key)
    assert refused.status_code == 429
    assert "2 requests per 10 s" in refused.json()["detail"]
    assert 8 <= int(refused["Retry-After"]) <= 10
    make_client("team-a", request_limits="1/s, 2/10s, 2/min, 9/h".replace("10s", "10 s"))
    refused = send(key)
    assert "2 requests per minute" in refused.json()["detail"]
    assert 50 < int(refused["Retry-After"]) <= 60


@pytest.mark.usefixtures("lasting_keys")
def test_a_client_without_limits_costs_no_round_trip(send, key):
    free = make_key("team-b")
    for each in (key, free):
        send(each, "/jobs/x")  # opens the connection, and loads the script
    with asking_redis() as asked:
        answer = send(free, "/jobs/x")
    assert asked == []
    assert not [name for name in answer.headers if name.startswith("RateLimit")]
    with asking_redis() as asked:
        send(key, "/jobs/x")
    assert len(asked) == 1


def test_a_limit_that_is_changed_is_in_force_and_shown(send, key):
    for _ in range(4):
        send(key)
    make_client("team-a", request_limits="5/min")
    answer = send(key)
    assert (answer.status_code, answer["RateLimit-Policy"]) == (200, '"minute";q=5;w=60')
    make_client("team-a", request_limits="2/min")
    assert send(key).status_code == 429
    make_client("team-a", request_limits="")
    answer = send(key)
    assert (answer.status_code, answer.has_header("RateLimit")) == (200, False)


def test_after_a_flush_the_limit_opens_anew(send, key, redis_client):
    assert [send(key).status_code for _ in range(4)] == [200, 200, 200, 429]
    redis_client.flushall()
    assert state(send(key))[0] == 2


def test_without_redis_requests_are_let_in_without_figures(send, key, settings):
    settings.REDIS_URL = "redis://127.0.0.1:9"
    answers = [send(key) for _ in range(10)]
    assert {answer.status_code for answer in answers} == {200}
    assert not any(answer.has_header("RateLimit") for answer in answers)


def test_a_log_of_another_type_locks_nobody_out(send, key, redis_client):
    redis_client.set(requests_key("team-a"), "x")
    assert state(send(key))[0] == 2
    assert not stream.hints_may_fail._is_down


def test_anonymous_requests_have_the_limits_of_the_default_client(client):
    make_client("default", request_limits="3/min")
    directory.forget()
    assert [client.get("/jobs").status_code for _ in range(4)] == [200, 200, 200, 429]


@pytest.mark.django_db(transaction=True)
def test_requests_at_once_are_all_counted(client, key):
    client.get("/jobs/x", headers=bearer(make_key("team-b")))
    make_client("team-a", request_limits="10/min")
    with ThreadPoolExecutor(8) as threads:
        statuses = list(
            threads.map(lambda _: client.get("/jobs/x", headers=bearer(key)).status_code, range(40))
        )
    assert sorted(statuses) == [404] * 10 + [429] * 30
