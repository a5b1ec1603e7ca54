"""A job from POST to result: through the API, a worker, the mock vendors and a callback."""

import pytest

from harness.waiting import wait_for
from jobs.models import Callback, Job
from jobs.tallies import read

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def service(start_worker, make_vendor, live_server, settings):
    settings.PUBLIC_URL = live_server.url  # the only address that mock vendors call back
    make_vendor("sync", url=f"{live_server.url}/mock-vendors/sync")
    make_vendor(
        "async", adapter="async", url=f"{live_server.url}/mock-vendors/async?callback_delay=0.2"
    )
    return start_worker(PUBLIC_URL=live_server.url)


def post(client, vendor):
    answer = client.post(
        "/jobs", {"vendor": vendor, "name": "John Doe"}, content_type="application/json"
    )
    assert answer.status_code == 202
    return answer.json()["request_id"]


def result(client, request_id):
    job = client.get(f"/jobs/{request_id}").json()
    return job["status"] == "complete" and job["result"]


def retry(client, request_id):
    """Retry the job if possible. Returns None, so that a wait for the result goes on."""
    client.post(f"/jobs/{request_id}/retry")


@pytest.mark.parametrize("vendor", ["sync", "async"])
def test_jobs_of_both_mock_vendors_complete(service, client, vendor):
    request_id = post(client, vendor)
    got = wait_for(lambda: result(client, request_id), f"the {vendor} job to complete")
    assert got == {"name": "John Doe", "info": f"Processed {vendor}"}
    assert "ssn" not in str(Job.objects.values_list("result", "input"))
    assert "ssn" not in str(list(Callback.objects.values_list("body", flat=True)))
    assert "John" not in service.output
    wait_for(lambda: vendor in read.totals(), "the worker to write what it has counted")
    assert read.totals()[vendor].calls.total() == 1


def test_a_lost_callback_fails_the_job_and_a_retry_completes_it(
    service, client, live_server, make_vendor
):
    lost = make_vendor(
        "lost",
        adapter="async",
        url=f"{live_server.url}/mock-vendors/async?lost=1",
        callback_timeout_seconds=1,
    )
    request_id = post(client, "lost")
    job = wait_for(
        lambda: Job.objects.filter(pk=request_id, status="failed").first(),
        "the callback to be overdue",
    )
    assert job.error_code == "callback_overdue"
    lost.url = f"{live_server.url}/mock-vendors/async?callback_delay=0"
    lost.callback_timeout_seconds = 30
    lost.save()
    # The worker may still know the old URL for a moment. The next retry uses the new one.
    wait_for(lambda: result(client, request_id) or retry(client, request_id), "the next run")
    assert Job.objects.get(pk=request_id).run > 1


def test_a_job_waiting_for_its_callback_can_be_cancelled(service, client, make_vendor, live_server):
    make_vendor(
        "slow", adapter="async", url=f"{live_server.url}/mock-vendors/async?callback_delay=60"
    )
    request_id = post(client, "slow")
    wait_for(lambda: Job.objects.get(pk=request_id).status == "waiting", "the vendor to accept")
    assert client.post(f"/jobs/{request_id}/cancel").json()["status"] == "cancelled"
