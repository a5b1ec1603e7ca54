"""New jobs have their times; stored ones are read without further queries."""

from datetime import UTC, datetime

import pytest

from jobs.models import Job, time_of

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_new_job_is_created_and_queued_when_its_id_was_made():
    job = Job.new(vendor="acme")
    assert job.created_at == job.queued_at == time_of(job.id)


def test_new_job_is_queued_when_it_is_created():
    job = Job.new(created_at=AT)
    assert (job.created_at, job.queued_at) == (AT, AT)


def test_new_job_keeps_the_fields_given():
    job = Job.new(id="019a0000-0000-7000-8000-000000000000", queued_at=AT)
    assert (job.id, job.queued_at) == ("019a0000-0000-7000-8000-000000000000", AT)
    assert job.created_at == time_of(job.id)


@pytest.mark.django_db
def test_deferred_times_are_not_read(make_job, django_assert_num_queries):
    make_job()
    with django_assert_num_queries(1):
        [job] = Job.objects.defer("created_at", "queued_at")
    assert job.get_deferred_fields() <= {"created_at", "queued_at"}
