"""The page of a job shows its state, input, result and history."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.models import Attempt, Callback
from jobs.tests.console import sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


@pytest.fixture
def page(browser):
    return lambda job: browser.get(f"/admin/jobs/job/{job.pk}/change/")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"status": "processing", "worker": "w1", "started_at": NOON},
            "Worker w1 has been calling the vendor since 2026-01",
        ),
        (
            {"status": "waiting", "deadline_at": NOON},
            "The vendor accepted the job. Its callback is due by 2026-01-31 12:00:00",
        ),
        (
            {"status": "complete", "finished_at": NOON},
            "complete Finished at 2026-01-31 12:00:00 UTC.",
        ),
        (
            {
                "status": "failed",
                "finished_at": NOON,
                "error_message": "It said no.",
                "error_code": "vendor_rejected",
            },
            "failed Finished at 2026-01-31 12:00:00 UTC: It said no. Error code: vendor_rejected",
        ),
        (
            {"status": "cancelled", "finished_at": NOON},
            "cancelled Finished at 2026-01-31 12:00:00 UTC.",
        ),
    ],
    ids=lambda value: value.get("status") if isinstance(value, dict) else "",
)
def test_the_state_of_a_job_is_a_sentence(page, make_vendor, make_job, fields, sentence):
    make_vendor()
    assert sentence in text(page(make_job(**fields)))


def test_input_and_result_are_escaped(page, make_job):
    job = make_job(
        input={"name": "<script>alert(1)</script>"},
        result={"city": "Zürich", "half": "\ud800"},
        status="complete",
    )
    response = page(job)
    assert "<script>alert(1)" not in response.content.decode()
    assert '{ "name": "<script>alert(1)</script>" }' in text(response)
    assert '"city": "Zürich"' in text(response)


def test_a_large_result_is_truncated(page, make_job):
    job = make_job(result={"text": "x" * 900_000}, status="complete")
    response = page(job)
    assert len(response.content) < 60_000
    assert (
        f"only the first 20,000 characters are shown. GET /jobs/{job.pk} returns all of it."
        in text(response)
    )


def test_attempts_and_callbacks_are_listed_in_order(page, make_job):
    job = make_job(status="complete", attempt=2)

    def seconds(count):
        return NOON + timedelta(seconds=count)

    attempts = [(1, "vendor_unavailable", "It answered 503.", 0), (2, "pending", "", 10)]
    for number, outcome, message, start in attempts:
        times = {"started_at": seconds(start), "ended_at": seconds(start + 1.25)}
        Attempt.objects.create(
            job=job.pk,
            vendor="acme",
            run=1,
            number=number,
            worker="w1",
            outcome=outcome,
            message=message,
            **times,
        )
    callback = {
        "key": "k",
        "vendor": "acme",
        "job": job.pk,
        "run": 1,
        "attempt": 2,
        "verdict": "applied",
        "times_received": 3,
    }
    Callback.objects.create(**callback, body={}, body_bytes=1234, received_at=seconds(60))
    page_text = text(page(job))
    assert (
        "2026-01-31 12:00:00 UTC Attempt 1 vendor_unavailable 1.25 s w1 It answered 503."
        in page_text
    )
    first, second, third = (
        page_text.index("Attempt 1 v"),
        page_text.index("Attempt 2 pending"),
        page_text.index("12:01:00 UTC Callback applied"),
    )
    assert first < second < third
    assert "1,234 bytes, answers attempt 2, received 3 times" in page_text


def test_the_page_shows_run_attempt_failures_and_crashes(page, make_job):
    page_text = text(page(make_job(run=2, attempt=7, failures=3, crashes=1)))
    assert "Run: 2 Attempt: 7 Failures: 3 Crashes: 1" in page_text


def test_the_page_shows_what_the_client_said_about_the_job(page, make_job):
    at = {"expires_at": NOON, "not_before": NOON - timedelta(hours=1)}
    said = {"reference": "order-1", "metadata": {"team": "<b>"}, "idempotency_key": "k-1", **at}
    page_text = text(page(make_job(client="billing", **said)))
    assert "Client: billing Reference: order-1 Idempotency-Key: k-1" in page_text
    assert 'Metadata: { "team": "<b>" }' in page_text
    assert "Not before: 2026-01-31 11:00:00 UTC" in page_text
    assert "Expires at: 2026-01-31 12:00:00 UTC" in page_text
    page_text = text(page(make_job()))
    assert "Client: default Reference: - Idempotency-Key: - Metadata: -" in page_text
    assert "Not before: - Expires at: -" in page_text


def test_the_page_is_read_only(browser, page, make_job):
    job = make_job()
    assert 'name="_save"' not in page(job).content.decode()
    assert (
        browser.post(f"/admin/jobs/job/{job.pk}/change/", {"status": "complete"}).status_code == 403
    )
    assert browser.get("/admin/jobs/job/add/").status_code == 403
    assert browser.post(f"/admin/jobs/job/{job.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("job_id", ["019a0000-0000-7000-8000-000000000000", "x", "%00", "a" * 300])
def test_an_unknown_job_is_reported(browser, job_id):
    response = browser.get(f"/admin/jobs/job/{job_id}/change/", follow=True)
    assert "doesn’t exist" in text(response)
