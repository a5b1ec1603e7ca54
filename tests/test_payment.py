"""A vendor's account runs out of credits in the middle of its queue. The vendor is paused until an
operator resumes it, or until the account has credits again. No job fails, no attempt counts, and
none that was answered is called again.
"""

import os
from collections import Counter
from threading import Lock

import pytest

from harness.vendor.scripted import Answer, done
from harness.waiting import wait_for
from jobs.models import Attempt, Job
from tests.conftest import statuses, wait_until_final
from vendors import pauses
from vendors.models import Vendor

JOBS = int(os.environ.get("PAYMENT_JOBS", "80"))


class Account:
    """Answers as long as there are credits, and notes the jobs that it has answered."""

    def __init__(self, credit: int) -> None:
        self.credit = credit
        self.answered = Counter()
        self._lock = Lock()

    def __call__(self, arrival):
        with self._lock:
            if not self.credit:
                return Answer(402, {"error": "out of credit"})
            self.credit -= 1
            self.answered[arrival.key] += 1
        return done(arrival)


@pytest.fixture(
    autouse=True,
    params=[
        pytest.param({}, id="defaults"),
        pytest.param(
            {"max_attempts": 1, "repeat_unknown": False}, id="one attempt", marks=pytest.mark.sqlite
        ),
    ],
)
def acme(request, make_vendor, vendor_server, transactional_db):
    return make_vendor(url=vendor_server.url, **request.param)


def test_jobs_wait_until_an_operator_resumes_the_vendor(vendor_server, start_worker, submit):
    vendor_server.answer = account = Account(JOBS // 2)
    jobs = submit(JOBS)
    worker = start_worker("--processes", "3")

    def is_paused():
        return Vendor.objects.filter(paused=True) and set(statuses()) == {"complete", "queued"}

    wait_for(is_paused, "the vendor to be paused", 60)
    assert Vendor.objects.get().pause_reason == pauses.UNPAID
    assert statuses() == ["complete"] * (JOBS // 2) + ["queued"] * (JOBS - JOBS // 2)
    assert set(Job.objects.values_list("failures", flat=True)) == {0}
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"found", "no_credits"}
    assert worker.output.count("is paused until an operator resumes it") == 1

    account.credit = JOBS
    pauses.resume("acme")
    wait_until_final(60)
    assert statuses() == ["complete"] * JOBS
    assert account.answered == Counter(job.pk for job in jobs)
