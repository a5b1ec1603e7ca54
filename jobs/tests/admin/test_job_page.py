"""The page of a job shows its state, input, result and history."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from jobs.models import UNKNOWN, Attempt, Callback, Job
from jobs.tests.console import sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)


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
            {"status": "complete", "finished_at": NOON, "outcome": "no_data"},
            "12:00:00 UTC. The vendor has no data for this input. Vendor: acme "
            "Name: John Doe Outcome: no_data Client",
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
            "12:00:00 UTC: It said no. Vendor: acme Error code: vendor_rejected",
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


@pytest.mark.parametrize(
    ("proof", "next_poll_at", "sentence"),
    [
        (
            {},
            LATER,
            "The vendor accepted the job as ref-1. It is polled until 2026-01-31 12:00:00 UTC. "
            "The next poll is due at 2100-01-01 00:00:00 UTC.",
        ),
        (
            {"callback": {}},
            NOON,
            "Its callback or a poll ends the wait, by 2026-01-31 12:00:00 UTC. "
            "The next poll is due now.",
        ),
        ({}, None, "It is not polled again. Its answer is due by 2026-01-31"),
    ],
    ids=["poll", "both", "last"],
)
def test_a_waiting_job_says_what_will_end_it(page, make_vendor, proof, next_poll_at, sentence):
    make_vendor(definition={"poll": {}, **proof})
    fields = {"vendor": "acme", "status": "waiting", "deadline_at": NOON, "input": {}}
    job = Job.new(**fields, vendor_reference="ref-1", next_poll_at=next_poll_at)
    job.save(force_insert=True)
    assert sentence in text(page(job))


def test_polls_are_listed_with_what_the_vendor_said(page, make_vendor, make_job):
    make_vendor()
    job = make_job(status="complete", attempt=1)
    now = timezone.now()
    polls = [
        (
            NOON,
            {
                "outcome": "pending",
                "vendor_reference": "ref-1",
                "cost": 0.5,
                "credential": "VENDOR_KEY_1",
            },
        ),
        (NOON + timedelta(minutes=1), {"outcome": UNKNOWN, "message": "Unfinished."}),
        (NOON + timedelta(minutes=2), {"outcome": "found", "cost": 1, "confidence": 0.75}),
        (now, {"outcome": UNKNOWN, "message": "Unfinished."}),
    ]
    for at, fields in polls:
        fields |= {"vendor": "acme", "run": 1, "number": 1, "worker": "w1"}
        Attempt.objects.create(job=job.pk, kind="poll", started_at=at, ended_at=at, **fields)
    page_text = text(page(job))
    for row in (
        "12:00:00 UTC Poll of attempt 1 pending 0.00 s w1 Key: VENDOR_KEY_1. "
        "Vendor's reference: ref-1. Cost: 0.5.",
        "12:01:00 UTC Poll of attempt 1 unknown w1 Its worker stopped before it recorded an answer",
        "12:02:00 UTC Poll of attempt 1 found 0.00 s w1 Cost: 1. Confidence: 0.75.",
        f"{now:%H:%M:%S} UTC Poll of attempt 1 under way w1",
    ):
        assert row in page_text
    assert "Unfinished" not in page_text


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
