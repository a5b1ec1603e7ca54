"""A refused callback is counted on its job: why, when, how large and how many, and nothing more."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.test import RequestFactory

from jobs.callbacks import refusals
from jobs.models import Callback, Job, Verdict
from jobs.recovery import sweep
from vendors.models import Vendor, new_id
from webhooks.tests.signing import signed
from webhooks.views import callback

pytestmark = pytest.mark.usefixtures("redis_client")

BODY = b'{"name": "John Doe"}'
LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


def overdue(job):
    """Let the deadline pass, and return the job's error message."""
    Job.objects.filter(pk=job.pk).update(deadline_at=LONG_AGO)
    assert sweep.resolve_overdue_jobs() == 1
    job = Job.objects.get(pk=job.pk)
    assert job.error_code == "callback_overdue"
    return job.error_message


def log_line(caplog):
    [line] = [record.getMessage() for record in caplog.records if record.name == "webhooks.views"]
    return line


# A refusal does not block a corrected callback.


@pytest.mark.parametrize("body", [b"[1]", b"no JSON", b""])
def test_a_corrected_signed_callback_is_applied_under_the_same_id(signed_job, post, body):
    assert post(signed_job, body=body, **signed(body)).status_code == 400
    answer = post(signed_job, body=b'{"r": 1}', **signed(b'{"r": 1}'))
    assert (answer.status_code, answer.json()) == (200, {"status": "applied"})
    assert Job.objects.get().result == {"r": 1}


def test_a_callback_corrected_for_its_adapter_is_applied_under_the_same_id(signed_job, post):
    Vendor.objects.update(adapter="adapters.callbacks.Picky")
    unreadable = post(signed_job, body=b'{"r": 1}', **signed(b'{"r": 1}'))
    assert unreadable.json() == {"status": "unreadable"}
    assert post(signed_job, **signed()).json() == {"status": "applied"}


def test_a_callback_that_came_before_its_job_was_imported_is_applied_by_a_repeat(
    vendor, make_job, post
):
    job_id = new_id()
    assert post(job_id).json() == {"status": "unmatched"}
    make_job(id=job_id, status="waiting", attempt=1)
    assert post(job_id).json() == {"status": "applied"}
    assert Callback.objects.get().verdict == Verdict.APPLIED


# What is stored.


def test_the_refused_callbacks_of_a_job_are_one_row_without_a_body(job, post):
    for body in (b"[1]", b"no JSON", BODY):
        post(job, "wrong" if body == BODY else None, body=body)
    row = Callback.objects.get()
    assert (row.verdict, row.reason, row.times_received) == ("refused", "token_wrong", 3)
    assert (row.body, row.body_bytes) == (None, len(BODY))
    assert (row.vendor, row.job, row.run, row.attempt) == ("acme", job.pk, 1, None)
    assert datetime.now(UTC) - row.received_at < timedelta(minutes=1)


def test_each_run_has_its_own_row(job, post):
    post(job, "wrong")
    Job.objects.update(run=2)
    post(job, "wrong")
    post(job, body=b"[1]")  # with the token of the first run
    assert sorted(Callback.objects.values_list("run", "times_received")) == [(1, 2), (2, 1)]


def test_nothing_is_stored_for_an_unknown_job_or_one_of_another_vendor(job, make_vendor, post):
    make_vendor("globex", adapter="async")
    answers = [
        post(str(uuid.uuid4()), "wrong"),
        post(job, "wrong", vendor="globex"),
        post(job, "wrong"),
    ]
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert Callback.objects.get().vendor == "acme"


def test_a_callback_that_is_too_large_is_counted_on_its_job(job, post, settings):
    settings.CALLBACK_MAX_BYTES = 10
    assert post(job).status_code == 413
    assert Callback.objects.get().reason == "too_large"
    assert Callback.objects.get().body_bytes == len(BODY)


def test_a_flood_of_refusals_causes_few_writes(job, post, monkeypatch):
    monkeypatch.setattr(refusals.time, "monotonic", lambda: 1000.0)
    for _ in range(50):
        assert post(job, "wrong").status_code == 401
    assert Callback.objects.get().times_received == refusals.Tally.MAX_BURST
    monkeypatch.setattr(refusals.time, "monotonic", lambda: 1001.0)
    post(job, "wrong")
    assert Callback.objects.get().times_received == 51


@pytest.mark.django_db(transaction=True)
def test_a_refusal_is_counted_after_its_response_is_sent(job):
    """So the response time tells nothing about the job."""
    url = f"/vendor-webhook/acme/{job.pk}?token=wrong"
    request = RequestFactory().post(url, BODY, content_type="application/json")
    response = callback(request, "acme", uuid.UUID(job.pk))
    assert response.status_code == 401
    assert not Callback.objects.exists()
    response.close()  # as a server does once it is sent
    assert Callback.objects.get().verdict == Verdict.REFUSED


# The job's error message.


@pytest.mark.parametrize(
    ("reason", "token", "sent"),
    [
        ("token_wrong", "wrong", signed()),
        ("token_wrong", "", signed()),
        ("signature_missing", None, {}),
        ("signature_wrong", None, signed(b"{}")),
        ("timestamp_out_of_range", None, signed(age_seconds=1000)),
        ("not_an_object (It is not valid JSON)", None, {"body": b"{", **signed(b"{")}),
        ("not_an_object (It is JSON, but not an object)", None, {"body": b"[1]", **signed(b"[1]")}),
    ],
)
def test_the_error_of_an_overdue_job_says_why_its_callback_was_refused(
    signed_job, post, reason, token, sent
):
    assert post(signed_job, token, **sent).status_code in (400, 401)
    message = overdue(signed_job)
    assert f"UTC. A callback was refused at {datetime.now(UTC):%Y}" in message
    assert message.endswith(f" UTC: {reason}.")


def test_the_error_of_an_overdue_job_says_how_many_callbacks_were_refused(job, client):
    for _ in range(3):
        client.post(f"/vendor-webhook/acme/{job.pk}", BODY, content_type="application/json")
    message = overdue(job)
    assert "3 callbacks were refused, the last one at " in message
    assert message.endswith("UTC: token_missing.")


def test_the_error_of_an_overdue_job_says_that_the_secret_is_unset(signed_job, post, monkeypatch):
    monkeypatch.delenv("VENDOR_ACME_WEBHOOK_SECRET")
    post(signed_job, **signed())
    assert overdue(signed_job).endswith("UTC: secret_unset.")


def test_the_error_of_an_overdue_job_says_that_its_callback_is_unreadable(
    make_vendor, make_job, post
):
    make_vendor(adapter="adapters.callbacks.Picky")
    job = make_job(status="waiting", attempt=1)
    assert post(job, body=b'{"surname": "Doe"}').json() == {"status": "unreadable"}
    assert overdue(job).endswith("UTC. The adapter could not read 1 callback.")


def test_the_error_of_an_overdue_job_does_not_mention_earlier_runs(job, post):
    post(job, "wrong")
    Job.objects.update(run=2)
    assert overdue(job).endswith("UTC.")


# The log.


def test_a_refusal_is_one_short_log_line(job, post, caplog):
    post(job, vendor="x" * 5000)
    line = f"Refused a callback from vendor '{'x' * 50}' for job {job.pk}: unknown_vendor"
    assert log_line(caplog) == line


def test_the_log_line_names_the_variable_of_a_secret_that_is_unset(
    signed_job, post, monkeypatch, caplog
):
    monkeypatch.delenv("VENDOR_ACME_WEBHOOK_SECRET")
    post(signed_job, **signed())
    reason = ": secret_unset (The variable VENDOR_ACME_WEBHOOK_SECRET is not set.)"
    assert log_line(caplog).endswith(reason)
