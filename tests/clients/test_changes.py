"""What an operator changes about clients and keys is in force in all processes within a second."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from clients import issuing
from clients.models import ApiKey, Client
from harness.clients import ACTOR, key_row, make_client, make_key
from harness.waiting import wait_for

pytestmark = pytest.mark.about_redis

PROCESSES = 4
SECONDS = 1.0


@pytest.fixture
def ports(serve_api):
    return serve_api(PROCESSES)


class Traffic:
    """Requests over one kept-alive connection to each process, until stop()."""

    def __init__(self, connections, *, rate: float) -> None:
        self.answers: list[tuple[float, int, object]] = []  # sent at, status, headers
        self._stopped = threading.Event()
        gap = len(connections) / rate
        self._threads = [
            threading.Thread(target=self._send, args=(connection, gap))
            for connection in connections
        ]
        for thread in self._threads:
            thread.start()

    def _send(self, connection, gap: float) -> None:
        due = time.monotonic()
        while not self._stopped.is_set():
            due += gap
            self._stopped.wait(max(0, due - time.monotonic()))
            sent_at = time.monotonic()
            answer = connection.send("GET", "/jobs?limit=1")
            self.answers.append((sent_at, answer.status, answer.headers))

    def statuses(self, since: float = 0.0, until: float = float("inf")) -> set[int]:
        return {status for sent_at, status, _ in list(self.answers) if since < sent_at < until}

    def lasts_until(self, moment: float) -> None:
        wait_for(lambda: time.monotonic() > moment, "requests to be sent")

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def traffic(ports, open_connection):
    """Return a function that sends requests with a key to all processes."""
    started: list[Traffic] = []

    def start(key: str, rate: float = 200) -> Traffic:
        connections = [open_connection(port, key) for port in ports]
        for connection in connections:
            assert connection.send().status == 200
        started.append(Traffic(connections, rate=rate))
        return started[-1]

    yield start
    for each in started:
        each.stop()


def revoke(key: str) -> None:
    issuing.revoke(key_row(key), ACTOR)


def disable(key: str) -> None:
    Client.objects.update(enabled=False)


def restrict(key: str) -> None:
    ApiKey.objects.update(addresses="192.0.2.1")


@pytest.mark.parametrize("end", [revoke, disable, restrict])
def test_a_key_that_ends_under_load_is_refused_by_all_processes(
    traffic, end: Callable[[str], None]
):
    key = make_key()
    requests = traffic(key)
    requests.lasts_until(time.monotonic() + 1)
    end(key)
    ended_at = time.monotonic()
    requests.lasts_until(ended_at + SECONDS + 1)
    requests.stop()
    assert len(requests.answers) > 100  # fewer than 200 a second if the machine is busy
    assert requests.statuses(until=ended_at - 1) <= {200}
    assert 200 in requests.statuses(until=ended_at)
    assert requests.statuses(since=ended_at + SECONDS) == {401}


def test_a_key_expires_at_its_second_in_all_processes(traffic):
    key = make_key(expires_at=timezone.now() + timedelta(hours=1))
    requests = traffic(key)
    expires_at = timezone.now() + timedelta(seconds=2)
    ApiKey.objects.update(expires_at=expires_at)
    ends_at = time.monotonic() + (expires_at - timezone.now()).total_seconds()
    requests.lasts_until(ends_at + 1)
    requests.stop()
    assert requests.statuses(until=ends_at - 0.5) == {200}
    assert requests.statuses(since=ends_at + 0.1) == {401}


def test_changed_limits_are_shown_and_enforced_by_all_processes(traffic):
    key = make_key()
    requests = traffic(key)
    make_client("team-a", request_limits="2/min")
    lowered_at = time.monotonic()
    requests.lasts_until(lowered_at + SECONDS + 0.5)
    raising_at = time.monotonic()
    make_client("team-a", request_limits="90000/min")
    raised_at = time.monotonic()
    requests.lasts_until(raised_at + SECONDS + 0.5)
    requests.stop()
    assert requests.statuses(lowered_at + SECONDS, raising_at - 0.2) == {429}
    assert requests.statuses(since=raised_at + SECONDS) == {200}
    shown = {
        headers["RateLimit-Policy"]
        for sent_at, _, headers in requests.answers
        if sent_at > raised_at + SECONDS
    }
    assert shown == {'"minute";q=90000;w=60'}
    for _, status, headers in requests.answers:  # what is shown is what is enforced
        if headers["RateLimit"] and status == 429:
            assert headers["RateLimit-Policy"] == '"minute";q=2;w=60'
            assert int(headers["Retry-After"]) >= int(headers["RateLimit"].rpartition("t=")[2])


def test_the_first_key_ends_anonymous_access_in_all_processes(serve_api, open_connection):
    ports = serve_api(2, ALLOW_ANONYMOUS=1)
    connections = [open_connection(port) for port in ports]
    assert [each.send().status for each in connections] == [200, 200]
    make_key()
    made_at = time.monotonic()
    wait_for(lambda: {each.send().status for each in connections} == {401}, "a refusal")
    assert time.monotonic() - made_at < SECONDS + 0.5
