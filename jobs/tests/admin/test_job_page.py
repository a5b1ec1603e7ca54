"""The page of a job shows its state, input, result and history."""

import json
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from audit.models import Entry
from audit.record import Actor, record
from jobs.models import UNKNOWN, Attempt, BulkAction, Callback, Job
from jobs.tests.console import sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
JOBS = "/admin/jobs/job/"
NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)
DAYS = timedelta(days=30, hours=1)


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


@pytest.fixture
def page(browser):
    return lambda job, query="": browser.get(f"{JOBS}{job.pk}/change/{query}")


@pytest.fixture
def show(browser):
    """Return a function that asks for the personal data of a job."""
    return lambda job: browser.post(f"{JOBS}{job.pk}/show/")


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
            {"status": "complete", "finished_at": DAYS, "outcome": "no_data", "attempt": 2},
            "Complete 30 d ago, after 2 attempts. The vendor has no data for this input.",
        ),
        (
            {"status": "complete", "finished_at": DAYS, "attempt": 1},
            "Complete 30 d ago, after 1 attempt.",
        ),
        (
            {
                "status": "failed",
                "finished_at": DAYS,
                "error_message": "It answered 422.",
                "error_code": "invalid_input",
            },
            "Failed 30 d ago: It answered 422. The vendor refused this input. What to do: Read "
            "what it answered. Change the input and retry the job, or have the client post it "
            "again. If every job fails, check the vendor's URL and its definition. A retry will "
            "not help until the input is changed.",
        ),
        (
            {"status": "cancelled", "finished_at": DAYS},
            "Cancelled 30 d ago. What to do: To have it done after all, retry it.",
        ),
    ],
    ids=lambda value: value.get("status") if isinstance(value, dict) else "",
)
def test_the_state_of_a_job_is_a_sentence(page, make_vendor, make_job, fields, sentence):
    """A duration stands for a time that long ago."""
    make_vendor()
    now = timezone.now()
    fields = {name: now - it if it is DAYS else it for name, it in fields.items()}
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


def test_personal_data_is_shown_on_request_and_that_is_recorded(browser, page, show, make_job):
    job = make_job(
        name="Jane",
        input={"name": "<script>alert(1)</script>", "quote": "it's"},
        result={"city": "Zürich", "half": "\ud800"},
        metadata={"team": "<b>"},
        reference="order-1",
        status="complete",
    )
    hidden = page(job)
    for secret in ("alert(1)", "Zürich", "&lt;b&gt;"):
        assert secret not in hidden.content.decode()
    assert not Entry.objects.filter(target=f"job:{job.pk}").exists()

    shown = show(job)
    assert "<script>alert(1)" not in shown.content.decode()
    page_text = text(shown)
    for part in ('"name": "<script>alert(1)</script>"', '"city": "Zürich"', '{ "team": "<b>" }'):
        assert part in page_text
    assert "no-store" in shown["Cache-Control"]
    entry = Entry.objects.get(target=f"job:{job.pk}")
    assert (entry.actor, entry.action) == ("operator", "job.personal_data_seen")
    assert "Personal data shown operator" in text(page(job))
    assert browser.get(f"{JOBS}{job.pk}/show/").status_code == 302, "a GET shows nothing"


def test_a_request_can_be_repeated_by_curl(show, make_job, tmp_path):
    """The shell passes on exactly what the client posted, whatever it holds."""
    posted = {"name": 'O\'Hara $HOME "`id`"\n', "age": 12345678901234567890}
    job = make_job(input=posted, reference="order-1", metadata={"team": "sales"}, status="failed")
    command = show(job).context["personal"]["curl"]
    assert "$ENRICHLABS_KEY" in command
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\nfor last; do :; done; printf "%s" "$last"\n')
    curl.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, env={"PATH": f"{tmp_path}:/bin"}, check=True
    )
    options = {"reference": "order-1", "metadata": {"team": "sales"}}
    assert json.loads(done.stdout) == {"vendor": "acme", **posted, "options": options}


def test_a_large_result_is_truncated(show, make_job):
    job = make_job(result={"text": "x" * 900_000}, status="complete")
    response = show(job)
    assert len(response.content) < 60_000
    more = f"only the first 20,000 characters are shown. GET /jobs/{job.pk} returns all of it."
    assert more in text(response)


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
    assert f"{job.created_at:%Y-%m-%d %H:%M:%S} UTC Accepted default" in page_text
    errors = text(page(job, "?only=errors"))
    assert "Attempt 1 vendor_unavailable" in errors
    assert "Attempt 2" not in errors
    assert "Callback" not in errors.partition("Timeline")[2].partition("Input and result")[0]


def test_the_timeline_shows_what_people_did_and_what_is_due(page, make_job):
    job = make_job(status="waiting", deadline_at=LATER, next_poll_at=LATER)
    action = BulkAction.objects.create(
        kind="retry",
        choice={},
        vendor="acme",
        reason="Fixed.",
        actor="bob",
        planned=1,
        started_at=NOON,
        skipped={},
    )
    Job.objects.filter(pk=job.pk).update(bulk=action.pk)
    record(Actor("alice"), "job.retried", f"job:{job.pk}", reason="It said that it is mended.")
    page_text = text(page(job))
    for row in (
        "Retried alice It said that it is mended.",
        "12:00:00 UTC Retried by a bulk action bob Fixed.",
        "2100-01-01 00:00:00 UTC Next poll due",
        "2100-01-01 00:00:00 UTC Deadline due Its answer is overdue then.",
    ):
        assert row in page_text


def test_the_page_shows_run_attempt_failures_and_crashes(page, make_job):
    page_text = text(page(make_job(run=2, attempt=7, failures=3, crashes=1)))
    assert "Run 2 Attempts 7 (3 failed in this run, 1 ended because a worker died)" in page_text


def test_the_failure_that_ended_the_run_counts_and_no_call_takes_less_than_no_time(page, make_job):
    job = make_job(status="failed", attempt=2, failures=1)
    for number in (1, 2):
        times = {"started_at": NOON, "ended_at": NOON - timedelta(seconds=number)}
        fields = {"vendor": "acme", "run": 1, "worker": "w1", "outcome": "vendor_error"}
        Attempt.objects.create(job=job.pk, number=number, **fields, **times)
    page_text = text(page(job))
    assert "Attempts 2 (2 failed in this run)" in page_text
    assert "Attempt 1 vendor_error 0.00 s" in page_text


def test_the_page_shows_what_the_client_said_about_the_job(page, make_job):
    at = {"expires_at": NOON, "not_before": NOON - timedelta(hours=1)}
    page_text = text(page(make_job(client="billing", reference="r", idempotency_key="k", **at)))
    assert "Client billing · its jobs" in page_text
    assert "Reference r Idempotency-Key k" in page_text
    assert "Not before 2026-01-31 11:00:00 UTC Expires at 2026-01-31 12:00:00 UTC" in page_text


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
