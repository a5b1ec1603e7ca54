"""A vendor throttles every call without saying for how long, as one does whose quota is used up. It
is called ever more seldom, by one job at a time, and no job fails.
"""

from datetime import timedelta
from math import log2
from threading import Thread

import pytest

from harness.vendor.scripted import Answer, done
from harness.waiting import wait_for
from jobs.models import Attempt, Job
from jobs.queue.health import throttle
from jobs.worker.worker import Worker
from tests.conftest import statuses, wait_until_final
from vendors import pauses
from vendors.models import Vendor

pytestmark = pytest.mark.sqlite

UNIT_SECONDS = 0.01
LONG = timedelta(seconds=100 * UNIT_SECONDS)
THREADS = 8
JOBS = 30


@pytest.fixture
def worker(monkeypatch, make_vendor, vendor_server, submit, redis_client):
    """A worker in this process, whose pauses have a unit of 10 ms."""
    monkeypatch.setattr(throttle, "UNIT_SECONDS", UNIT_SECONDS)
    make_vendor(url=vendor_server.url, max_attempts=1, repeat_unknown=False)
    worker = Worker(threads=THREADS)
    thread = Thread(target=worker.run)
    thread.start()
    yield worker
    worker.stop()
    thread.join()


def test_a_vendor_that_throttles_every_call_is_called_ever_more_seldom(
    worker, vendor_server, submit
):
    vendor_server.answer = lambda _: Answer(429, {"error": "Monthly quota used up."})
    submit(JOBS)

    def is_paused_for_long():
        vendor = Vendor.objects.get()
        return vendor.paused_until and vendor.paused_until - vendor.paused_at > LONG

    wait_for(is_paused_for_long, "the pauses to grow")
    arrivals = [arrival.at for arrival in vendor_server.arrivals]
    lasted_units = (arrivals[-1] - arrivals[0]) / UNIT_SECONDS
    # Those under way at the first answer, and one for each pause.
    assert len(arrivals) <= THREADS + log2(lasted_units) + 2
    assert set(statuses()) <= {"queued", "processing"}
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"rate_limited"}
    assert Vendor.objects.get().pause_reason == pauses.THROTTLED

    vendor_server.answer = done
    calls = len(vendor_server.arrivals)
    pauses.resume("acme")  # the breaker holds it no longer than workers take to read the row
    wait_until_final(30)
    assert statuses() == ["complete"] * JOBS
    assert len(vendor_server.arrivals) <= calls + JOBS + 1  # one probe may have been under way
    assert set(Job.objects.values_list("failures", flat=True)) == {0}
