"""What is taken and what is refused, before anything of it acts on a job."""

import base64
import time
import uuid

import pytest
from django.db import DatabaseError
from django.test import Client

from jobs.callbacks import tokens
from jobs.models import Callback, Job, Verdict
from webhooks import signatures

SECRET = base64.b64encode(b"a secret of thirty-two bytes...!").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"the secret before this one .....").decode()
BODY = b'{"name": "John Doe"}'


@pytest.fixture
def job(make_vendor, make_job):
    make_vendor(adapter="async")
    return make_job(status="waiting", attempt=1)


@pytest.fixture
def signed_job(make_vendor, make_job, monkeypatch):
    monkeypatch.setenv("VENDOR_ACME_WEBHOOK_SECRET", f"{SECRET},{OLD_SECRET}")
    make_vendor(adapter="async", webhook_secret_env="VENDOR_ACME_WEBHOOK_SECRET")
    return make_job(status="waiting", attempt=1)


def signature(secret=SECRET, body=BODY, age_seconds=0):
    seconds = int(time.time()) - age_seconds
    made = signatures.sign(secret, "msg_1", seconds, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(seconds), "webhook-signature": made}


def status(job):
    return Job.objects.get(pk=job.pk).status


def is_refused(job, reason):
    """Whether nothing is kept of a callback but that it was refused."""
    kept = Callback.objects.get()
    return (kept.job, kept.verdict, kept.reason, kept.body) == (
        job.pk,
        Verdict.REFUSED,
        reason,
        None,
    )


def refusal(caplog):
    [line] = [
        record.getMessage()
        for record in caplog.records
        if record.levelname == "WARNING" and record.name == "webhooks.views"
    ]
    return line


def test_a_callback_completes_its_job(job, post):
    answer = post(job)
    assert (answer.status_code, answer.json()) == (200, {"status": "applied"})
    assert Job.objects.get(pk=job.pk).result == {"name": "John Doe"}


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "nonsense", "multipart/form-data"],
)
def test_any_content_type_will_do(job, post, content_type):
    assert post(job, content_type=content_type).status_code == 200
    assert status(job) == "complete"


def test_a_vendor_has_no_csrf_token(job):
    url = f"/vendor-webhook/acme/{job.pk}?token={tokens.make('acme', job.pk, 1, 1)}"
    assert (
        Client(enforce_csrf_checks=True)
        .post(url, BODY, content_type="application/json")
        .status_code
        == 200
    )


@pytest.mark.parametrize("setting", [{"enabled": False}, {"paused": True}])
def test_callbacks_of_a_disabled_or_paused_vendor_are_taken(make_vendor, make_job, post, setting):
    make_vendor(adapter="async", **setting)
    job = make_job(status="waiting", attempt=1)
    assert post(job).status_code == 200
    assert status(job) == "complete"


def test_a_callback_is_taken_while_redis_is_away(job, post, settings):
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    assert post(job).json() == {"status": "applied"}


def test_a_callback_frees_the_in_flight_slot(job, post, redis_client):
    redis_client.zadd("enrich:{acme}:in_flight", {job.pk: 1, "another": 1})
    post(job)
    assert redis_client.zrange("enrich:{acme}:in_flight", 0, -1) == ["another"]


def test_nothing_but_a_post_is_allowed(job, client):
    answer = client.get(f"/vendor-webhook/acme/{job.pk}")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_an_unknown_vendor_is_not_found(job, post):
    assert post(job, vendor="nobody").status_code == 404
    assert not Callback.objects.exists()


@pytest.mark.parametrize("job_id", ["1", "undefined", "'; drop table", "\ud800x"])
def test_what_is_no_request_id_is_not_found(make_vendor, client, job_id):
    make_vendor()
    assert (
        client.post(
            f"/vendor-webhook/acme/{job_id.encode('utf-8', 'replace').decode()}"
        ).status_code
        == 404
    )


def test_a_body_over_the_cap_is_refused_before_all_else(job, post, settings, caplog):
    settings.CALLBACK_MAX_BYTES = len(BODY)
    answer = post(job, "wrong", vendor="nobody", body=BODY + b" ")
    assert answer.status_code == 413
    assert refusal(caplog).endswith("too_large")
    assert post(job).status_code == 200


def test_a_cap_above_that_of_django_holds(job, post, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert post(job).status_code == 200


@pytest.mark.parametrize("token", ["", "1.1", "1.1." + "0" * 64, "%00", "1.1.%F0%9F%92%A9"])
def test_a_forged_token_is_refused(job, post, caplog, token):
    answer = post(job, token)
    assert answer.status_code == 401
    assert status(job) == "waiting"
    assert is_refused(job, "token_wrong")
    assert refusal(caplog) == f"Refused a callback of vendor 'acme' for job {job.pk}: token_wrong"


def test_without_a_token_a_callback_is_refused(job, client, caplog):
    assert (
        client.post(
            f"/vendor-webhook/acme/{job.pk}", BODY, content_type="application/json"
        ).status_code
        == 401
    )
    assert refusal(caplog).endswith("token_missing")


def test_all_tokens_that_are_not_the_jobs_own_are_refused_alike(job, make_job, make_vendor, post):
    own = tokens.make("acme", job.pk, 1, 1)
    code = own.split(".")[2]
    other_job, other_vendor = (
        tokens.make("acme", make_job().pk, 1, 1),
        tokens.make("globex", job.pk, 1, 1),
    )
    other_run, other_attempt, other_digits = f"2.1.{code}", f"1.2.{code}", f"1.\uff11.{code}"
    altered = [own.upper(), own[:-1], f"%20{own}", f"{own}&token={own}0"]
    answers = [
        post(job, token)
        for token in [other_job, other_vendor, other_run, other_attempt, other_digits, *altered]
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (401, post(job, "wrong").content)
    }
    assert status(job) == "waiting"
    assert Callback.objects.get().body is None
    assert post(job).status_code == 200


def test_a_token_of_another_vendor_opens_nothing_at_that_vendors_door(job, make_vendor, post):
    make_vendor("globex", adapter="async")
    answer = post(job, tokens.make("globex", job.pk, 1, 1), vendor="globex")
    assert (answer.status_code, answer.json()) == (202, {"status": "unmatched"})
    assert status(job) == "waiting"


def test_a_signing_vendor_learns_nothing_of_the_jobs_of_another(
    signed_job, make_vendor, make_job, post
):
    make_vendor("globex", adapter="async")
    theirs = make_job(vendor="globex", status="waiting", attempt=1)
    answers = [post(job, "wrong", **signature()) for job in (theirs, str(uuid.uuid4()))]
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (202, answers[0].content)
    }
    assert status(theirs) == "waiting"


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_a_signature_by_any_of_the_secrets_is_accepted(signed_job, post, secret):
    assert post(signed_job, **signature(secret)).status_code == 200
    assert status(signed_job) == "complete"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "signature_missing"),
        (signature(body=b"{}"), "signature_wrong"),
        (signature() | {"webhook-timestamp": "soon"}, "signature_malformed"),
        (signature(age_seconds=1000), "timestamp_out_of_range"),
        (signature(age_seconds=-1000), "timestamp_out_of_range"),
    ],
)
def test_a_forged_signature_is_refused_though_the_token_is_right(
    signed_job, post, caplog, headers, reason
):
    assert post(signed_job, **headers).status_code == 401
    assert status(signed_job) == "waiting"
    assert is_refused(signed_job, reason)
    assert refusal(caplog).endswith(f": {reason}")


def test_the_signature_is_checked_before_the_token(signed_job, post, caplog):
    assert post(signed_job, "wrong").status_code == 401
    assert refusal(caplog).endswith("signature_missing")


def test_a_good_signature_does_not_make_up_for_a_forged_token(signed_job, post, caplog):
    assert post(signed_job, "wrong", **signature()).status_code == 401
    assert refusal(caplog).endswith("token_wrong")
    assert is_refused(signed_job, "token_wrong")


@pytest.mark.parametrize("value", [None, "", " , "])
def test_a_secret_that_is_named_but_not_set_closes_the_door(
    signed_job, post, monkeypatch, caplog, value
):
    monkeypatch.delenv("VENDOR_ACME_WEBHOOK_SECRET") if value is None else monkeypatch.setenv(
        "VENDOR_ACME_WEBHOOK_SECRET", value
    )
    assert post(signed_job, **signature()).status_code == 401
    assert status(signed_job) == "waiting"
    assert "The variable VENDOR_ACME_WEBHOOK_SECRET is not set." in caplog.text


def test_whatever_is_wrong_a_forger_hears_the_same(signed_job, post):
    answers = [
        post(signed_job),
        post(signed_job, "wrong", **signature()),
        post(signed_job, **signature(body=b"{}")),
    ]
    answers.append(post(str(uuid.uuid4()), "wrong"))
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1


def test_no_token_and_nothing_of_the_body_is_logged(signed_job, post, caplog):
    token = tokens.make("acme", signed_job.pk, 1, 1)
    post(signed_job, token)
    post(signed_job, token, **signature())
    post(signed_job, token, body=b"John Doe", **signature(body=b"John Doe"))
    assert token not in caplog.text
    assert "John" not in caplog.text
    assert SECRET not in caplog.text


def test_an_unknown_job_with_a_good_signature_is_kept_as_unmatched(signed_job, post):
    stranger = str(uuid.uuid4())
    answer = post(stranger, "wrong", **signature())
    assert (answer.status_code, answer.json()) == (202, {"status": "unmatched"})
    assert Callback.objects.get(job=stranger).verdict == Verdict.UNMATCHED


def test_an_unknown_job_with_a_good_token_is_kept_as_unmatched(job, post):
    pruned = str(uuid.uuid4())
    assert post(pruned).status_code == 202
    assert Callback.objects.get(job=pruned).verdict == Verdict.UNMATCHED


def test_an_unknown_job_with_neither_is_refused(job, post):
    assert post(str(uuid.uuid4()), "wrong").status_code == 401
    assert not Callback.objects.exists()


def test_a_store_that_fails_costs_the_vendor_a_503_and_leaves_nothing_of_the_callback_in_the_log(
    post, job, monkeypatch, caplog
):
    def fail(*args, **options):
        raise DatabaseError("full error: John Doe")

    monkeypatch.setattr("jobs.callbacks.inbox.receive", fail)
    answer = post(job)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert answer["Retry-After"] == "5"
    assert "The store does not answer." in caplog.text
    assert "John Doe" not in caplog.text
