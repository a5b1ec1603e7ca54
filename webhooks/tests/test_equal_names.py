"""A callback with two fields of the same name is kept, and applied by an operator only: parsers
disagree on which of them counts.
"""

from datetime import timedelta
from io import StringIO
from itertools import count

import pytest
from django.core.management import call_command
from django.utils import timezone

from jobs.callbacks import apply, receive, refusals
from jobs.callbacks.read import EQUAL_NAMES
from jobs.callbacks.retry_unreadable import UnreadableRetries
from jobs.callbacks.tokens import AttemptRef
from jobs.models import Callback, Job
from webhooks.tests.signing import signed

pytestmark = pytest.mark.django_db

BODY = b'{"result": {"score": 1, "more": [], "score": 2}, "ssn": "123-45-6789"}'
KEPT = {"result": {"score": 2, "more": []}}
BODIES = [BODY, b'{"a": 1, "a": 1}', b'[1, {"a": 1, "\\u0061": 2}]'.join([b'{"n": ', b"}"])]


def state(job):
    callback = Callback.objects.get(job=job.pk)
    return Job.objects.get(pk=job.pk).status, callback.verdict, callback.reason


UNAPPLIED = ("waiting", "unreadable", EQUAL_NAMES)


def replay():
    out = StringIO()
    call_command("replay", "--callbacks", "--yes", stdout=out)
    return out.getvalue()


@pytest.mark.parametrize("body", BODIES)
def test_it_is_kept_as_unreadable(post, job, body, caplog):
    answer = post(job, body=body)
    assert (answer.status_code, answer.json()) == (200, {"status": "unreadable"})
    assert state(job) == UNAPPLIED
    assert f"is unreadable: {EQUAL_NAMES}" in caplog.text


def test_so_is_a_signed_one(post, signed_job):
    assert post(signed_job, body=BODY, **signed(BODY)).json() == {"status": "unreadable"}
    assert state(signed_job) == UNAPPLIED


def test_it_needs_its_proof_of_origin(post, job):
    assert post(job, "wrong", body=BODY).status_code == 401
    assert not Callback.objects.exclude(verdict="refused").exists()


@pytest.mark.parametrize("body", [b'{"a": 1, "a": 2', b'{"a": 1, "a": NaN}', b'[{"a": 1, "a": 2}]'])
def test_without_a_valid_object_it_is_refused(post, job, body):
    assert post(job, body=body).status_code == 400


def test_nothing_applies_it_by_itself(vendor, post, job):
    post(job, body=BODY)
    retries, ticks = UnreadableRetries(), count()
    for _ in range(3):
        now = timezone.now() + timedelta(hours=next(ticks))
        apply.apply_pending(now, older_than=timedelta(), limit=100)
        apply.apply_for_jobs([job.pk], now)
        retries.step(now)
        post(job, body=BODY)
        assert state(job) == UNAPPLIED


def test_nor_after_a_crash_before_its_verdict(vendor, job):
    ref = AttemptRef(run=1, attempt=1)
    receive.store(vendor, job.pk, ref, webhook_id="", body=BODY, now=timezone.now())
    assert state(job) == ("waiting", "", EQUAL_NAMES)
    apply.apply_pending(timezone.now(), older_than=timedelta(), limit=100)
    assert state(job) == UNAPPLIED


def test_nor_when_its_job_appears_later(vendor, post, job, make_job):
    fields = {"id": job.pk, "status": "waiting", "attempt": 1}
    job.delete()
    assert post(fields["id"], body=BODY, token=None).json() == {"status": "unmatched"}
    job = make_job(**fields)
    apply.apply_for_jobs([job.pk], timezone.now())
    assert state(job) == UNAPPLIED


def test_an_operator_applies_it_with_the_last_of_the_fields(post, job, redis_client):
    post(job, body=BODY)
    assert replay() == "1 applied, 0 skipped\n"
    assert state(job)[:2] == ("complete", "applied")
    assert Job.objects.get(pk=job.pk).result == KEPT


def test_an_operator_applies_it_to_an_overdue_job(post, job, redis_client):
    post(job, body=BODY)
    Job.objects.filter(pk=job.pk).update(status="failed", error_code="callback_overdue")
    assert replay() == "1 applied, 0 skipped\n"
    assert state(job)[:2] == ("complete", "applied")


def test_a_corrected_callback_is_applied(post, job):
    post(job, body=BODY)
    assert post(job, body=b'{"score": 2}').json() == {"status": "applied"}


def test_the_error_of_an_overdue_job_names_the_cause(post, job):
    post(job, body=BODY)
    hint = "1 callback had two fields of the same name."
    assert refusals.hints([job]) == {job.pk: hint}
