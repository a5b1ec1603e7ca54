"""A lookup returns each field as the model has it."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from jobs.models import Job
from jobs.storage.lookup import Lookup

pytestmark = pytest.mark.django_db

ALL_FIELDS = [field.name for field in Job._meta.concrete_fields]
LOOKUP = Lookup(Job, *ALL_FIELDS, owner="client")
STARTED = datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC)
ENDED = {
    "result": {"n": [2**80, None, "ü"]},
    "started_at": STARTED,
    "finished_at": STARTED,
}


@pytest.mark.parametrize("fields", [{}, ENDED])
def test_each_field_equals_the_models(make_job, fields):
    job = Job.objects.get(pk=make_job(**fields).pk)
    assert LOOKUP.find(job.pk, "default") == {name: getattr(job, name) for name in ALL_FIELDS}


def test_a_missing_row_is_none(make_job):
    make_job()
    assert LOOKUP.find(str(UUID(int=0)), "default") is None


def test_the_row_of_another_owner_is_none(make_job):
    assert LOOKUP.find(make_job(client="acme").pk, "default") is None
