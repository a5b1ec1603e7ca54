"""A vendor that asks for payment (402) is paused until an operator resumes it. No job fails, and no
attempt counts.
"""

import pytest

from harness.vendor.scripted import Answer
from harness.waiting import wait_for
from jobs.models import Attempt, Job
from tests.conftest import statuses, wait_until_final
from vendors import pauses
from vendors.models import Vendor


@pytest.fixture(
    autouse=True,
    params=[{}, {"max_attempts": 1, "repeat_unknown": False}],
    ids=["defaults", "one attempt"],
)
def acme(request, make_vendor, vendor_server, transactional_db):
    return make_vendor(url=vendor_server.url, **request.param)


def test_jobs_wait_until_an_operator_resumes_the_vendor(vendor_server, start_worker, submit):
    vendor_server.answer = lambda _: Answer(402, {"error": "out of credit"})
    submit(60)
    worker = start_worker("--processes", "3")

    def is_paused():
        return Vendor.objects.filter(paused=True) and set(statuses()) == {"queued"}

    wait_for(is_paused, "the vendor to be paused")
    assert "payment" in Vendor.objects.get().pause_reason
    calls = len(vendor_server.arrivals)
    assert set(Job.objects.values_list("failures", flat=True)) == {0}
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"no_credits"}
    assert worker.output.count("is paused until an operator resumes it") == 1

    vendor_server.answer = lambda _: Answer(200, {"ok": True})
    pauses.resume("acme")
    wait_until_final(30)
    assert statuses() == ["complete"] * 60
    assert len(vendor_server.arrivals) == calls + 60
