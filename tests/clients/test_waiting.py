"""Requests that wait: through the API, Redis and a worker, until a vendor answers."""

import json
import os
import signal
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from harness.clients import make_key
from harness.running import parent_of, processes_of
from harness.waiting import wait_for
from jobs.models import Job
from jobs.queue.keys import Keys

pytestmark = pytest.mark.about_redis

WAITED = Keys("acme").waited
BODY = {"vendor": "acme", "name": "John Doe"}
AT_ONCE_SECONDS = 10.0  # much less than the 30 s that are preferred, on a busy machine


@pytest.fixture
def api(serve_api, start_worker, make_vendor, vendor_server, open_connection):
    """Return a function that sends a request that waits, in a thread."""
    make_vendor(url=vendor_server.url)
    [port] = serve_api()
    key = make_key()
    start_worker()
    headers = {"Prefer": "wait=30", "Idempotency-Key": "one"}

    def send(*request):
        return open_connection(port, key).send(*request, **headers)

    with ThreadPoolExecutor(4) as threads:
        yield lambda *request: threads.submit(send, *request)


def shown(answer: Future):
    got = answer.result(AT_ONCE_SECONDS)
    return got.status, json.loads(got.body)["status"], got.headers.get("Preference-Applied")


def stop_gunicorn(folder):
    [master] = [pid for pid in processes_of(folder) if parent_of(pid) == os.getpid()]
    os.kill(master, signal.SIGTERM)


def test_requests_that_wait_are_answered_when_there_is_something_to_say(
    api, vendor_server, redis_client, valkey, tmp_path
):
    vendor_server.hold.clear()
    posts = [api("POST", "/jobs", BODY) for _ in range(2)]
    [job_id] = wait_for(lambda: redis_client.zrange(WAITED, 0, -1), "the posts to wait")
    wait_for(lambda: vendor_server.arrivals, "the call")

    def waiting_get():
        answer = api("GET", f"/jobs/{job_id}")
        wait_for(lambda: answer.done() or redis_client.zcard(WAITED), "the request to wait")
        return None if answer.done() else answer

    valkey.kill()
    assert {shown(post)[::2] for post in posts} == {(202, None)}
    valkey.start()
    # Redis is used again a second after it failed.
    get = wait_for(waiting_get, "a request to wait")
    vendor_server.hold.set()
    assert shown(get) == (200, "complete", "wait=30")

    vendor_server.hold.clear()
    Job.objects.update(status="processing", result=None)
    redis_client.delete(WAITED)
    get = wait_for(waiting_get, "a request to wait")
    stop_gunicorn(tmp_path / "data")
    assert shown(get) == (200, "processing", None)
