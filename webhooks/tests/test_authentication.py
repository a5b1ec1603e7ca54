"""Which requests are accepted as callbacks, and which are refused before they reach a job."""

import uuid

import pytest
from django.db import DatabaseError
from django.test import Client

from jobs.callbacks import tokens
from jobs.models import Callback, Job, Verdict
from webhooks.tests.signing import OLD_SECRET, SECRET, signed

BODY = b'{"name": "John Doe"}'


def status(job):
    return Job.objects.get(pk=job.pk).status


def is_refused(job, reason):
    """Whether a refusal is all that is stored."""
    row = Callback.objects.get()
    found = (row.job, row.verdict, row.reason, row.body)
    return found == (job.pk, Verdict.REFUSED, reason, None)


def log_line(caplog):
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
def test_any_content_type_is_accepted(job, post, content_type):
    assert post(job, content_type=content_type).status_code == 200
    assert status(job) == "complete"


def test_no_csrf_token_is_needed(job):
    url = f"/vendor-webhook/acme/{job.pk}?token={tokens.make('acme', job.pk, 1, 1)}"
    client = Client(enforce_csrf_checks=True)
    assert client.post(url, BODY, content_type="application/json").status_code == 200


@pytest.mark.parametrize("setting", [{"enabled": False}, {"paused": True}])
def test_callbacks_from_a_disabled_or_paused_vendor_are_accepted(
    make_vendor, make_job, post, setting
):
    make_vendor(adapter="async", **setting)
    job = make_job(status="waiting", attempt=1)
    assert post(job).status_code == 200
    assert status(job) == "complete"


def test_a_callback_is_accepted_while_redis_is_away(job, post, settings):
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    assert post(job).json() == {"status": "applied"}


def test_a_callback_frees_the_in_flight_slot(job, post, redis_client):
    redis_client.zadd("enrich:{acme}:in_flight", {job.pk: 1, "another": 1})
    post(job)
    assert redis_client.zrange("enrich:{acme}:in_flight", 0, -1) == ["another"]


def test_only_post_is_allowed(job, client):
    answer = client.get(f"/vendor-webhook/acme/{job.pk}")
    assert (answer.status_code, answer["Allow"]) == (405, "POST")


def test_an_unknown_vendor_is_not_found(job, post):
    assert post(job, vendor="nobody").status_code == 404
    assert not Callback.objects.exists()


@pytest.mark.parametrize("job_id", ["1", "undefined", "'; drop table", "\ud800x"])
def test_a_malformed_request_id_is_not_found(make_vendor, client, job_id):
    make_vendor()
    url = f"/vendor-webhook/acme/{job_id.encode('utf-8', 'replace').decode()}"
    assert client.post(url).status_code == 404


def test_the_size_of_the_body_is_checked_first(job, post, settings, caplog):
    settings.CALLBACK_MAX_BYTES = len(BODY)
    answer = post(job, "wrong", vendor="nobody", body=BODY + b" ")
    assert answer.status_code == 413
    assert log_line(caplog).endswith("too_large")
    assert post(job).status_code == 200


def test_djangos_own_cap_does_not_apply(job, post, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
    assert post(job).status_code == 200


@pytest.mark.parametrize("token", ["", "1.1", "1.1." + "0" * 64, "%00", "1.1.%F0%9F%92%A9"])
def test_a_forged_token_is_refused(job, post, caplog, token):
    answer = post(job, token)
    assert answer.status_code == 401
    assert status(job) == "waiting"
    assert is_refused(job, "token_wrong")
    line = f"Refused a callback from vendor 'acme' for job {job.pk}: token_wrong"
    assert log_line(caplog) == line


def test_a_callback_without_a_token_is_refused(job, client, caplog):
    url = f"/vendor-webhook/acme/{job.pk}"
    assert client.post(url, BODY, content_type="application/json").status_code == 401
    assert log_line(caplog).endswith("token_missing")


def test_every_token_but_the_jobs_own_is_refused_with_the_same_response(job, make_job, post):
    own = tokens.make("acme", job.pk, 1, 1)
    signature = own.split(".")[2]
    others = [
        tokens.make("acme", make_job().pk, 1, 1),
        tokens.make("globex", job.pk, 1, 1),
        f"2.1.{signature}",
        f"1.2.{signature}",
        f"1.\uff11.{signature}",
        own.upper(),
        own[:-1],
        f"%20{own}",
        f"{own}&token={own}0",
    ]
    answers = [post(job, token) for token in others]
    refused = {(answer.status_code, answer.content) for answer in answers}
    assert refused == {(401, post(job, "wrong").content)}
    assert status(job) == "waiting"
    assert Callback.objects.get().body is None
    assert post(job).status_code == 200


def test_a_token_is_useless_at_another_vendors_endpoint(job, make_vendor, post):
    make_vendor("globex", adapter="async")
    answer = post(job, tokens.make("globex", job.pk, 1, 1), vendor="globex")
    assert (answer.status_code, answer.json()) == (202, {"status": "unmatched"})
    assert status(job) == "waiting"


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_a_signature_by_any_of_the_secrets_is_accepted(signed_job, post, secret):
    assert post(signed_job, **signed(secret=secret)).status_code == 200
    assert status(signed_job) == "complete"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "signature_missing"),
        (signed(b"{}"), "signature_wrong"),
        (signed() | {"webhook-timestamp": "soon"}, "signature_malformed"),
        (signed(age_seconds=1000), "timestamp_out_of_range"),
        (signed(age_seconds=-1000), "timestamp_out_of_range"),
    ],
)
def test_a_forged_signature_is_refused_although_the_token_is_right(
    signed_job, post, caplog, headers, reason
):
    assert post(signed_job, **headers).status_code == 401
    assert status(signed_job) == "waiting"
    assert is_refused(signed_job, reason)
    assert log_line(caplog).endswith(f": {reason}")


def test_the_signature_is_checked_before_the_token(signed_job, post, caplog):
    assert post(signed_job, "wrong").status_code == 401
    assert log_line(caplog).endswith("signature_missing")


def test_a_forged_token_is_refused_although_the_signature_is_right(signed_job, post, caplog):
    assert post(signed_job, "wrong", **signed()).status_code == 401
    assert log_line(caplog).endswith("token_wrong")
    assert is_refused(signed_job, "token_wrong")


@pytest.mark.parametrize("value", [None, "", " , "])
def test_all_callbacks_are_refused_while_the_secret_is_unset(
    signed_job, post, monkeypatch, caplog, value
):
    if value is None:
        monkeypatch.delenv("VENDOR_ACME_WEBHOOK_SECRET")
    else:
        monkeypatch.setenv("VENDOR_ACME_WEBHOOK_SECRET", value)
    assert post(signed_job, **signed()).status_code == 401
    assert status(signed_job) == "waiting"
    assert "The variable VENDOR_ACME_WEBHOOK_SECRET is not set." in caplog.text


def test_every_refusal_has_the_same_response(signed_job, post):
    answers = [
        post(signed_job),
        post(signed_job, "wrong", **signed()),
        post(signed_job, **signed(b"{}")),
        post(str(uuid.uuid4()), "wrong"),
    ]
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1


def test_neither_token_nor_body_is_logged(signed_job, post, caplog):
    token = tokens.make("acme", signed_job.pk, 1, 1)
    post(signed_job, token)
    post(signed_job, token, **signed())
    post(signed_job, token, body=b"John Doe", **signed(b"John Doe"))
    assert token not in caplog.text
    assert "John" not in caplog.text
    assert SECRET not in caplog.text


def test_a_store_error_is_a_503_and_the_callback_is_not_logged(post, job, monkeypatch, caplog):
    def fail(*args, **options):
        raise DatabaseError("full error: John Doe")

    monkeypatch.setattr("jobs.callbacks.receive.receive", fail)
    answer = post(job)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert answer["Retry-After"] == "5"
    assert "The store does not answer." in caplog.text
    assert "John Doe" not in caplog.text
