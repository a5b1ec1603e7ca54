"""The page of a job says where it stands, what it was given and gave, and what happened to it."""

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
            "The vendor took the job; its callback is due by 2026-01-31 12:00:00",
        ),
        (
            {"status": "complete", "finished_at": NOON},
            "complete Ended at 2026-01-31 12:00:00 UTC with a result.",
        ),
        (
            {
                "status": "failed",
                "finished_at": NOON,
                "error_message": "The vendor said no.",
                "error_code": "vendor_rejected",
            },
            "failed Failed at 2026-01-31 12:00:00 UTC: The vendor said no. Error code: vendor_rejected",
        ),
        (
            {"status": "cancelled", "finished_at": NOON},
            "cancelled Cancelled at 2026-01-31 12:00:00 UTC.",
        ),
    ],
    ids=lambda value: value.get("status") if isinstance(value, dict) else "",
)
def test_the_state_of_a_job_is_a_sentence(page, make_vendor, make_job, fields, sentence):
    make_vendor()
    assert sentence in text(page(make_job(**fields)))


def test_input_and_result_are_shown_as_text_whatever_they_hold(page, make_job):
    job = make_job(
        input={"name": "<script>alert(1)</script>"},
        result={"city": "Zürich", "half": "\ud800"},
        status="complete",
    )
    response = page(job)
    assert "<script>alert(1)" not in response.content.decode()
    assert '{ "name": "<script>alert(1)</script>" }' in text(response)
    assert '"city": "Zürich"' in text(response)


def test_a_large_result_is_cut(page, make_job):
    job = make_job(result={"text": "x" * 900_000}, status="complete")
    response = page(job)
    assert len(response.content) < 60_000
    assert (
        f"cut here: only the first 20,000 characters are shown. GET /jobs/{job.pk} has all of it."
        in text(response)
    )


def test_attempts_and_callbacks_are_told_in_the_order_they_happened(page, make_job):
    job = make_job(status="complete", attempt=2)

    def seconds(count):
        return NOON + timedelta(seconds=count)

    tries = [(1, "vendor_unavailable", "It answered 503.", 0), (2, "accepted", "", 10)]
    for number, outcome, message, start in tries:
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
    told = text(page(job))
    assert "2026-01-31 12:00:00 UTC Attempt 1 vendor_unavailable 1.25 s w1 It answered 503." in told
    first, second, third = (
        told.index("Attempt 1 v"),
        told.index("Attempt 2 accepted"),
        told.index("12:01:00 UTC Callback applied"),
    )
    assert first < second < third
    assert "1,234 bytes, answers attempt 2, received 3 times" in told


def test_the_page_counts_runs_attempts_failures_and_crashes(page, make_job):
    told = text(page(make_job(run=2, attempt=7, failures=3, crashes=1)))
    assert "Run: 2 Attempt: 7 Failures: 3 Crashes: 1" in told


def test_nothing_on_the_page_can_be_edited(browser, page, make_job):
    job = make_job()
    assert 'name="_save"' not in page(job).content.decode()
    assert (
        browser.post(f"/admin/jobs/job/{job.pk}/change/", {"status": "complete"}).status_code == 403
    )
    assert browser.get("/admin/jobs/job/add/").status_code == 403
    assert browser.post(f"/admin/jobs/job/{job.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("job_id", ["019a0000-0000-7000-8000-000000000000", "x", "%00", "a" * 300])
def test_an_unknown_job_is_said_to_be_unknown(browser, job_id):
    response = browser.get(f"/admin/jobs/job/{job_id}/change/", follow=True)
    assert "doesn’t exist" in text(response)
