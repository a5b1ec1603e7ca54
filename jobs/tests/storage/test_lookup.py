"""A row asked for with a statement of our own is as the model has it."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from jobs.models import Job
from jobs.storage.lookup import Lookup

pytestmark = pytest.mark.django_db

EVERY = Lookup(Job, *(field.name for field in Job._meta.concrete_fields))
BEGUN = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "fields", [{}, {"result": {"n": [2**80, None, "ü"]}, "started_at": BEGUN, "finished_at": BEGUN}]
)
def test_each_field_is_as_the_model_has_it(make_job, fields):
    job = Job.objects.get(pk=make_job(**fields).pk)
    assert EVERY.find(job.pk) == {
        field.name: getattr(job, field.name) for field in Job._meta.concrete_fields
    }


def test_a_row_that_is_not_there_is_none(make_job):
    make_job()
    assert EVERY.find(str(UUID(int=0))) is None
