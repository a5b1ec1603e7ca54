"""In SQL a callback that ends its job is stored with that in one commit, all or nothing."""

from datetime import UTC, datetime

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from jobs import batch, deliveries
from jobs.models import Delivery, Job, Verdict
from jobs.tokens import Try

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite, pytest.mark.usefixtures("redis_client")]

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def vendor(make_vendor):
    return make_vendor(adapter="vendors.base.Adapter")


@pytest.fixture
def job(vendor, make_job):
    return make_job(status="waiting", attempt=1)


def take(vendor, job, attempt=1):
    return deliveries.take(vendor, job.pk, Try(1, attempt), webhook_id="", body=b'{"name": "John Doe"}', now=NOW)


def commits(captured):
    return [query["sql"] for query in captured].count("COMMIT")


def found(job):
    return Job.objects.get(pk=job.pk).status, [(one.verdict, one.times_received) for one in Delivery.objects.all()]


def test_a_callback_that_ends_its_job_is_one_commit(vendor, job):
    with CaptureQueriesContext(connection) as captured:
        assert take(vendor, job) == Verdict.APPLIED
    assert commits(captured) == 1
    assert found(job) == ("complete", [(Verdict.APPLIED, 1)])


def test_its_repeat_is_counted(vendor, job):
    assert [take(vendor, job), take(vendor, job)] == [Verdict.APPLIED] * 2
    assert found(job) == ("complete", [(Verdict.APPLIED, 2)])


def test_one_that_was_stored_and_not_applied_is_applied_by_its_repeat(vendor, job):
    Job.objects.update(attempt=0)
    assert take(vendor, job) is None
    Job.objects.update(attempt=1)
    assert take(vendor, job) == Verdict.APPLIED
    assert found(job) == ("complete", [(Verdict.APPLIED, 2)])


def test_where_it_can_not_be_stored_its_job_goes_on_waiting(vendor, job, monkeypatch):
    def full(rows):
        raise OperationalError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(batch, "insert_each", full)
        with pytest.raises(OperationalError):
            take(vendor, job)
    assert found(job) == ("waiting", [])
    assert take(vendor, job) == Verdict.APPLIED
