"""A refused callback leaves its trace on the job: why, when and how large it was, and how many
there were; nothing more.
"""

import base64
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from django.test import RequestFactory

from jobs.callbacks import refusals
from jobs.models import Callback, Job, Verdict
from jobs.recovery import sweep
from vendors.models import Vendor, new_id
from webhooks import signatures
from webhooks.views import receive

pytestmark = pytest.mark.usefixtures("redis_client")

SECRET = base64.b64encode(b"a secret of thirty-two bytes...!").decode()
BODY = b'{"name": "John Doe"}'
LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def job(make_vendor, make_job):
    make_vendor(adapter="async")
    return make_job(status="waiting", attempt=1)


@pytest.fixture
def signed_job(make_vendor, make_job, monkeypatch):
    monkeypatch.setenv("VENDOR_ACME_WEBHOOK_SECRET", SECRET)
    make_vendor(adapter="async", webhook_secret_env="VENDOR_ACME_WEBHOOK_SECRET")
    return make_job(status="waiting", attempt=1)


def signed(body=BODY, message="msg_1", age_seconds=0):
    seconds = int(time.time()) - age_seconds
    made = signatures.sign(SECRET, message, seconds, body)
    return {"webhook-id": message, "webhook-timestamp": str(seconds), "webhook-signature": made}


def overdue(job):
    """Let the deadline pass, and return the error that the job then has."""
    Job.objects.filter(pk=job.pk).update(deadline_at=LONG_AGO)
    assert sweep.resolve_overdue_callbacks() == 1
    job = Job.objects.get(pk=job.pk)
    assert job.error_code == "callback_overdue"
    return job.error_message


# What was refused does not stand in the way of what is right.


@pytest.mark.parametrize("body", [b"[1]", b"no JSON", b""])
def test_a_signed_callback_that_was_put_right_is_applied_under_the_same_id(signed_job, post, body):
    assert post(signed_job, body=body, **signed(body)).status_code == 400
    answer = post(signed_job, body=b'{"r": 1}', **signed(b'{"r": 1}'))
    assert (answer.status_code, answer.json()) == (200, {"status": "applied"})
    assert Job.objects.get().result == {"r": 1}


def test_a_callback_that_was_put_right_for_its_adapter_is_applied_under_the_same_id(
    signed_job, post
):
    Vendor.objects.update(adapter="adapters.callbacks.Picky")
    assert post(signed_job, body=b'{"r": 1}', **signed(b'{"r": 1}')).json() == {
        "status": "unreadable"
    }
    assert post(signed_job, **signed()).json() == {"status": "applied"}


def test_a_callback_that_came_before_its_job_was_imported_is_applied_when_it_is_repeated(
    make_vendor, make_job, post
):
    make_vendor(adapter="async")
    job_id = new_id()
    assert post(job_id).json() == {"status": "unmatched"}
    make_job(id=job_id, status="waiting", attempt=1)
    assert post(job_id).json() == {"status": "applied"}
    assert Callback.objects.get().verdict == Verdict.APPLIED


# What is kept.


def test_refused_callbacks_of_a_job_are_one_row_without_a_body(job, post):
    for body in (b"[1]", b"no JSON", BODY):
        post(job, "wrong" if body == BODY else None, body=body)
    kept = Callback.objects.get()
    assert (kept.verdict, kept.body, kept.reason, kept.times_received) == (
        "refused",
        None,
        "token_wrong",
        3,
    )
    assert (kept.vendor, kept.job, kept.run, kept.attempt, kept.body_bytes) == (
        "acme",
        job.pk,
        1,
        None,
        len(BODY),
    )
    assert datetime.now(UTC) - kept.received_at < timedelta(minutes=1)


def test_each_run_has_a_row_of_its_own(job, post):
    post(job, "wrong")
    Job.objects.update(run=2)
    post(job, "wrong")
    post(job, body=b"[1]")  # with the token of the first run
    assert sorted(Callback.objects.values_list("run", "times_received")) == [(1, 2), (2, 1)]


def test_nothing_is_kept_for_a_job_that_is_not_there_or_is_another_vendors(job, make_vendor, post):
    make_vendor("globex", adapter="async")
    answers = [
        post(str(uuid.uuid4()), "wrong"),
        post(job, "wrong", vendor="globex"),
        post(job, "wrong"),
    ]
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1
    assert Callback.objects.get().vendor == "acme"


def test_what_is_too_large_is_counted_on_its_job(job, post, settings):
    settings.CALLBACK_MAX_BYTES = 10
    assert post(job).status_code == 413
    assert Callback.objects.get().reason == "too_large"
    assert Callback.objects.get().body_bytes == len(BODY)


def test_a_flood_of_refusals_is_few_writes(job, post, monkeypatch):
    monkeypatch.setattr(refusals.time, "monotonic", lambda: 1000.0)
    for _ in range(50):
        assert post(job, "wrong").status_code == 401
    assert Callback.objects.get().times_received == refusals.Tally.MAX_WRITES_AT_ONCE
    monkeypatch.setattr(refusals.time, "monotonic", lambda: 1001.0)
    post(job, "wrong")
    assert Callback.objects.get().times_received == 51


@pytest.mark.django_db(transaction=True)
def test_a_refusal_is_counted_when_its_answer_was_sent(job):
    """So how long the answer takes tells nothing about the job."""
    request = RequestFactory().post(
        f"/vendor-webhook/acme/{job.pk}?token=wrong", BODY, content_type="application/json"
    )
    answer = receive(request, "acme", uuid.UUID(job.pk))
    assert answer.status_code == 401
    assert not Callback.objects.exists()
    answer.close()  # as a server does then
    assert Callback.objects.get().verdict == Verdict.REFUSED


# What the job says.


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


def test_the_error_of_an_overdue_job_says_how_many_were_refused(job, client):
    for _ in range(3):
        client.post(f"/vendor-webhook/acme/{job.pk}", BODY, content_type="application/json")
    message = overdue(job)
    assert "3 callbacks were refused, the last one at " in message
    assert message.endswith("UTC: token_missing.")


def test_the_error_of_an_overdue_job_says_that_the_secret_is_unset(signed_job, post, monkeypatch):
    monkeypatch.delenv("VENDOR_ACME_WEBHOOK_SECRET")
    post(signed_job, **signed())
    assert overdue(signed_job).endswith("UTC: secret_unset.")


def test_the_error_of_an_overdue_job_says_that_its_callback_could_not_be_read(
    make_vendor, make_job, post
):
    make_vendor(adapter="adapters.callbacks.Picky")
    job = make_job(status="waiting", attempt=1)
    assert post(job, body=b'{"surname": "Doe"}').json() == {"status": "unreadable"}
    assert overdue(job).endswith("UTC. The adapter could not read 1 callback.")


def test_the_error_of_an_overdue_job_says_nothing_of_earlier_runs(job, post):
    post(job, "wrong")
    Job.objects.update(run=2)
    assert overdue(job).endswith("UTC.")


# What the log says.


def test_a_refusal_is_one_short_line(job, post, caplog):
    post(job, vendor="x" * 5000)
    [line] = [record.getMessage() for record in caplog.records if record.name == "webhooks.views"]
    assert line == f"Refused a callback of vendor '{'x' * 50}' for job {job.pk}: unknown_vendor"


def test_a_secret_that_is_unset_is_named_in_the_one_line(signed_job, post, monkeypatch, caplog):
    monkeypatch.delenv("VENDOR_ACME_WEBHOOK_SECRET")
    post(signed_job, **signed())
    [line] = [record.getMessage() for record in caplog.records if record.name == "webhooks.views"]
    assert line.endswith(": secret_unset (The variable VENDOR_ACME_WEBHOOK_SECRET is not set.)")
