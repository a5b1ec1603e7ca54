"""What bulk writes report, on either store."""

from datetime import UTC, datetime

import pytest

from jobs.lifecycle import new_token
from jobs.models import Job
from jobs.storage import bulk_writes
from jobs.storage.bulk_writes import Update

NOW = datetime(2026, 1, 2, tzinfo=UTC)

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_condition_may_be_that_a_field_is_null():
    jobs = [Job.new(vendor="acme", input={}, deadline_at=at) for at in (None, NOW)]
    bulk_writes.insert_each(jobs)
    found = [Update(job.pk, {"deadline_at": None}, {"worker": "w"}, new_token()) for job in jobs]
    assert bulk_writes.update_each(found) == [True, False]


def test_an_item_of_a_batch_is_inserted_once():
    def item(batch, index):
        return Job.new(vendor="acme", input={}, batch=batch, batch_index=index)

    assert bulk_writes.insert_each([item("one", 0), item("one", 1)]) == [True, True]
    others = [item("one", 1), item("one", 2), item("two", 1)]
    assert bulk_writes.insert_each(others) == [False, True, True]
    assert bulk_writes.insert_each([item("", None), item("", None)]) == [True, True]
