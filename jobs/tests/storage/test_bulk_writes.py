"""What bulk inserts report, on either store."""

import pytest

from jobs.models import Job
from jobs.storage import bulk_writes

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_item_of_a_batch_is_inserted_once():
    def item(batch, index):
        return Job.new(vendor="acme", input={}, batch=batch, batch_index=index)

    assert bulk_writes.insert_each([item("one", 0), item("one", 1)]) == [True, True]
    others = [item("one", 1), item("one", 2), item("two", 1)]
    assert bulk_writes.insert_each(others) == [False, True, True]
    assert bulk_writes.insert_each([item("", None), item("", None)]) == [True, True]
