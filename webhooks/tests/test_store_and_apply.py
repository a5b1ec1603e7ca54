"""A callback is cleaned and stored, then applied, once."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.callbacks import receive
from jobs.callbacks.apply import apply
from jobs.callbacks.tokens import AttemptRef
from jobs.models import Callback, Job, Verdict
from webhooks.tests import adapters

PICKY = "adapters.callbacks.Picky"
CARELESS = "adapters.callbacks.Careless"
FORGETFUL = "adapters.callbacks.Forgetful"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FIRST = AttemptRef(run=1, attempt=1)
BODY = b'{"name": " John Doe ", "ssn": "123-45-6789", "more": [{" SSN ": 1, "kept": 2}]}'
CLEANED = {"name": "John Doe", "more": [{"kept": 2}]}


def store(vendor, job, body=BODY, *, ref=FIRST, webhook_id="", now=NOW):
    return receive.store(vendor, job.pk, ref, webhook_id=webhook_id, body=body, now=now)


def stored(callback):
    return Callback.objects.get(pk=callback.pk)


def test_a_stored_callback_is_cleaned(vendor, job):
    callback = stored(store(vendor, job))
    assert callback.body == CLEANED
    assert (callback.body_bytes, callback.received_at, callback.verdict) == (len(BODY), NOW, "")
    assert (callback.vendor, callback.job, callback.run, callback.attempt) == ("acme", job.pk, 1, 1)


def test_a_result_completes_the_job(vendor, job):
    assert apply(store(vendor, job), vendor, NOW) == Verdict.APPLIED
    job = Job.objects.get(pk=job.pk)
    assert (job.status, job.result) == ("complete", CLEANED)
    assert (job.finished_at, job.deadline_at) == (NOW, None)


def test_the_result_that_an_adapter_reads_is_cleaned(make_vendor, make_job):
    vendor, job = make_vendor(adapter=PICKY), make_job(status="waiting", attempt=1)
    apply(store(vendor, job), vendor, NOW)
    assert Job.objects.get(pk=job.pk).result == {"name": "John Doe"}


def test_a_reported_failure_fails_the_job(make_vendor, make_job):
    vendor, job = make_vendor(adapter=PICKY), make_job(status="waiting", attempt=1)
    assert apply(store(vendor, job, b'{"error": 1}'), vendor, NOW) == Verdict.APPLIED
    job = Job.objects.get(pk=job.pk)
    assert (job.status, job.error_code) == ("failed", "no_match")
    assert job.error_message == "The vendor found no match."


def test_a_result_that_is_not_json_makes_the_callback_unreadable(make_vendor, make_job, caplog):
    vendor, job = make_vendor(adapter=CARELESS), make_job(status="waiting", attempt=1)
    assert apply(store(vendor, job), vendor, NOW) == Verdict.UNREADABLE
    assert "TypeError" in caplog.text


def test_an_adapter_that_does_not_return_done_is_named(make_vendor, make_job):
    vendor, job = make_vendor(adapter=FORGETFUL), make_job(status="waiting", attempt=1)
    assert apply(store(vendor, job), vendor, NOW) == Verdict.UNREADABLE
    reason = f"read_callback returned dict, not Done, in {adapters.__file__}"
    assert Callback.objects.get().reason == reason


def test_a_repeat_is_counted_and_has_no_second_effect(vendor, job):
    first = store(vendor, job)
    apply(first, vendor, NOW)
    repeat = store(vendor, job, now=NOW + timedelta(hours=1))
    assert apply(repeat, vendor, NOW + timedelta(hours=1)) == Verdict.APPLIED
    assert (repeat.pk, repeat.times_received, repeat.received_at) == (first.pk, 2, NOW)
    assert Job.objects.get(pk=job.pk).finished_at == NOW


def test_a_repeat_is_applied_when_a_crash_left_the_first_unapplied(vendor, job):
    store(vendor, job)
    assert apply(store(vendor, job), vendor, NOW) == Verdict.APPLIED
    assert Job.objects.get(pk=job.pk).status == "complete"


def test_a_signed_repeat_has_the_same_id_and_body(vendor, job):
    first = store(vendor, job, webhook_id="msg_1")
    assert store(vendor, job, webhook_id="msg_1").pk == first.pk
    assert store(vendor, job, b'{"other": 1}', webhook_id="msg_1").pk != first.pk
    assert store(vendor, job, webhook_id="msg_2").pk != first.pk


def test_a_callback_with_another_body_attempt_or_job_is_not_a_repeat(vendor, job, make_job):
    callbacks = [
        (job, BODY, FIRST),
        (job, b"{}", FIRST),
        (job, BODY, AttemptRef(1, 2)),
        (job, BODY, AttemptRef(2, 1)),
        (job, BODY, None),
        (make_job(), BODY, FIRST),
    ]
    rows = {store(vendor, of, body, ref=ref).pk for of, body, ref in callbacks}
    assert len(rows) == len(callbacks)


NOT_JSON = [
    b"",
    b"\xff\xfe",
    b"{",
    b"name=John+Doe",
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b'{"a": 1e999}',
    b'{"a": ' + b"9" * 5000 + b"}",
    b'{"a": ' * 101 + b"1" + b"}" * 101,
    b"[" * 100_000,
    b'{"a": 1} {"a": 2}',
]
NOT_AN_OBJECT = [b"[1]", b"null", b'"text"', b"1", b"true"]


@pytest.mark.parametrize("body", NOT_JSON + NOT_AN_OBJECT, ids=lambda body: repr(body[:12]))
def test_a_body_that_is_not_a_json_object_is_not_stored(vendor, job, body):
    with pytest.raises(receive.NotAnObjectError):
        store(vendor, job, body)
    assert not Callback.objects.exists()


def test_lone_surrogates_nuls_and_huge_numbers_are_accepted(vendor, job):
    huge = 123456789012345678901234567890
    body = b'\xef\xbb\xbf{"name": "J\\ud83d", "nul": "\\u0000", "huge": %d}' % huge
    callback = stored(store(vendor, job, body))
    assert apply(callback, vendor, NOW) == Verdict.APPLIED
    result = Job.objects.get(pk=job.pk).result
    assert (result["name"].strip("\ufffd"), result["nul"], result["huge"]) == ("J", "\0", huge)


@given(st.binary())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_stored_or_refused(vendor, job, body):
    with suppress(receive.NotAnObjectError):
        assert stored(store(vendor, job, body)).body_bytes == len(body)
