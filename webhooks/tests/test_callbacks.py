"""A callback is stored before it is applied, cleaned, and once."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.callbacks import inbox
from jobs.callbacks.tokens import Try
from jobs.models import Callback, Job, Verdict

PICKY = "adapters.callbacks.Picky"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FIRST = Try(run=1, attempt=1)
BODY = b'{"name": " John Doe ", "ssn": "123-45-6789", "more": [{" SSN ": 1, "kept": 2}]}'
CLEANED = {"name": "John Doe", "more": [{"kept": 2}]}


@pytest.fixture
def vendor(make_vendor):
    return make_vendor(adapter="async")


@pytest.fixture
def job(vendor, make_job):
    return make_job(status="waiting", attempt=1)


def store(vendor, job, body=BODY, *, tried=FIRST, webhook_id="", now=NOW):
    return inbox.store(vendor, job.pk, tried, webhook_id=webhook_id, body=body, now=now)


def stored(callback):
    return Callback.objects.get(pk=callback.pk)


def test_what_is_stored_is_cleaned(vendor, job):
    callback = stored(store(vendor, job))
    assert callback.body == CLEANED
    assert (callback.body_bytes, callback.received_at, callback.verdict) == (len(BODY), NOW, "")
    assert (callback.vendor, callback.job, callback.run, callback.attempt) == ("acme", job.pk, 1, 1)


def test_a_result_is_cleaned_and_the_job_complete(vendor, job):
    assert inbox.apply(store(vendor, job), vendor, NOW) == Verdict.APPLIED
    job = Job.objects.get(pk=job.pk)
    assert (job.status, job.result, job.finished_at, job.deadline_at) == (
        "complete",
        CLEANED,
        NOW,
        None,
    )


def test_what_the_adapter_makes_of_a_callback_is_cleaned_too(make_vendor, make_job):
    vendor, job = make_vendor(adapter=PICKY), make_job(status="waiting", attempt=1)
    inbox.apply(store(vendor, job), vendor, NOW)
    assert Job.objects.get(pk=job.pk).result == {"name": "John Doe"}


def test_a_failure_that_a_callback_reports_fails_the_job(make_vendor, make_job):
    vendor, job = make_vendor(adapter=PICKY), make_job(status="waiting", attempt=1)
    assert inbox.apply(store(vendor, job, b'{"error": 1}'), vendor, NOW) == Verdict.APPLIED
    job = Job.objects.get(pk=job.pk)
    assert (job.status, job.error_code, job.error_message) == (
        "failed",
        "no_match",
        "The vendor found nobody.",
    )


def test_a_repeat_is_counted_and_has_no_second_effect(vendor, job):
    first = store(vendor, job)
    inbox.apply(first, vendor, NOW)
    repeat = store(vendor, job, now=NOW + timedelta(hours=1))
    assert inbox.apply(repeat, vendor, NOW + timedelta(hours=1)) == Verdict.APPLIED
    assert (repeat.pk, repeat.times_received, repeat.received_at) == (first.pk, 2, NOW)
    assert Job.objects.get(pk=job.pk).finished_at == NOW


def test_a_repeat_applies_what_a_crash_left_unapplied(vendor, job):
    store(vendor, job)
    assert inbox.apply(store(vendor, job), vendor, NOW) == Verdict.APPLIED
    assert Job.objects.get(pk=job.pk).status == "complete"


def test_a_signed_repeat_is_known_by_its_id_and_body(vendor, job):
    first = store(vendor, job, webhook_id="msg_1")
    assert store(vendor, job, webhook_id="msg_1").pk == first.pk
    assert store(vendor, job, b'{"other": 1}', webhook_id="msg_1").pk != first.pk
    assert store(vendor, job, webhook_id="msg_2").pk != first.pk


def test_other_bodies_tries_and_jobs_are_other_callbacks(vendor, job, make_job):
    calls = [
        (job, BODY, Try(1, 1)),
        (job, b"{}", Try(1, 1)),
        (job, BODY, Try(1, 2)),
        (job, BODY, Try(2, 1)),
        (job, BODY, None),
    ]
    calls.append((make_job(), BODY, Try(1, 1)))
    assert len({store(vendor, of, body, tried=tried).pk for of, body, tried in calls}) == len(calls)


NO_JSON = [
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
NO_OBJECT = [b"[1]", b"null", b'"text"', b"1", b"true"]


@pytest.mark.parametrize("body", NO_JSON + NO_OBJECT, ids=lambda body: repr(body[:12]))
def test_nothing_is_stored_of_what_is_no_json_object(vendor, job, body):
    with pytest.raises(inbox.NotAnObjectError):
        store(vendor, job, body)
    assert not Callback.objects.exists()


def test_half_a_character_a_nul_and_a_huge_number_do_not_cost_the_answer(vendor, job):
    body = b'\xef\xbb\xbf{"name": "J\\ud83d", "nul": "\\u0000", "huge": 123456789012345678901234567890}'
    callback = stored(store(vendor, job, body))
    assert inbox.apply(callback, vendor, NOW) == Verdict.APPLIED
    result = Job.objects.get(pk=job.pk).result
    assert (result["name"].strip("\ufffd"), result["nul"], result["huge"]) == (
        "J",
        "\0",
        123456789012345678901234567890,
    )


@given(st.binary())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_stored_or_refused(vendor, job, body):
    with suppress(inbox.NotAnObjectError):
        assert stored(store(vendor, job, body)).body_bytes == len(body)
