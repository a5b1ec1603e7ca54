"""Each job gets its own answer or a bad_reply error, never the answer to another job."""

import json
from collections import Counter

import pytest

from harness.vendor.server import Server, Visit, answering, reply
from jobs.models import Attempt, Job
from jobs.queue.keys import Keys
from tests.conftest import statuses


@pytest.fixture
def serve(transactional_db):
    servers = []

    def serve(talk):
        servers.append(Server(talk))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


def interim_then_own(visit: Visit) -> None:
    """Answer 102 first and, shortly after, the requested name, on a kept connection."""
    while request := visit.read_request():
        posted = json.loads(request.partition(b"\r\n\r\n")[2])
        visit.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        visit.server.stopped.wait(0.05)
        visit.send(reply(body=json.dumps({"name": posted["name"]}).encode()))


@pytest.mark.parametrize("repeat_unknown", [True, False])
def test_no_job_gets_the_answer_of_another(
    repeat_unknown, serve, make_vendor, submit, start_worker
):
    server = serve(interim_then_own)
    for slug in ("acme", "globex"):
        make_vendor(slug, url=f"{server.url}{slug}", repeat_unknown=repeat_unknown)
        submit(40, vendor=slug)
    start_worker("--drain").end(60)
    assert statuses() == ["complete"] * 80
    assert all(
        result == {"name": name} for name, result in Job.objects.values_list("name", "result")
    )


def test_an_answer_with_invalid_http_fails_the_attempt_but_opens_no_breaker(
    serve, make_vendor, submit, start_worker, redis_client
):
    server = serve(answering(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 101 + b"\r\n"))
    make_vendor(url=server.url, max_attempts=2)
    submit(5)
    start_worker("--drain").end(60)
    assert statuses() == ["failed"] * 5
    assert Counter(Attempt.objects.values_list("outcome", flat=True)) == {"bad_reply": 10}
    assert set(Job.objects.values_list("error_code", "failures")) == {("bad_reply", 1)}
    assert not redis_client.hexists(Keys("acme").state, "open_until")
