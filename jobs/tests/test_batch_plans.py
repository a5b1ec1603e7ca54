"""What asks for the jobs of a batch reads an index of batches on SQLite, so its cost does not grow
with the number of jobs of others.
"""

import re

import pytest
from django.db.models import Count
from django.utils import timezone

from jobs import batches, operator_actions
from jobs.api.pagination import cursor_after
from jobs.models import Batch, Job, RefusedItem
from jobs.recovery.batches import BatchSweep
from jobs.storage.open_jobs import batches_with_open_jobs
from jobs.transfer.prune import Prune
from tests.plans import plan_of, reads_of, used_indexes

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite, pytest.mark.usefixtures("redis_client")]

BY_STATUS, BY_INDEX = "job_batch_status", "job_batch_index_unique"


@pytest.fixture
def batch(make_job):
    batch = Batch.new("default")
    batch.state, batch.sealed_at = "running", batch.created_at
    batch.save(force_insert=True)
    for index, status in enumerate(("complete", "failed", "complete")):
        make_job(batch=batch.pk, batch_index=index, status=status, finished_at=timezone.now())
    return batch


def indexes(table, act):
    """Return the indexes that each read of the table searches."""
    with reads_of(table) as reads:
        act()
    return [used_indexes(read) for read in reads]


def test_a_batch_is_finished_by_indexes(batch):
    [is_open, last] = indexes("jobs_job", lambda: batches.finish(batch))
    assert is_open == {BY_STATUS}
    assert last == {BY_STATUS}  # it has all that is asked for
    assert Batch.objects.get().state == "finished"


@pytest.mark.parametrize("action", ["cancel_requested_at", "retry_requested_at"])
def test_jobs_to_cancel_or_retry_are_found_by_their_status(batch, make_vendor, action):
    make_vendor()
    setattr(batch, action, timezone.now())
    first, *_ = indexes("jobs_job", lambda: operator_actions.advance(batch))
    assert first == {BY_STATUS}


@pytest.mark.parametrize(
    ("jobs", "index"),
    [
        (lambda jobs: jobs.filter(batch_index__gte=1).order_by("batch_index")[:500], BY_INDEX),
        (lambda jobs: jobs.filter(batch_index__in=[0, 2]).values("fingerprint"), BY_INDEX),
        (lambda jobs: jobs.values("status").annotate(count=Count("*")).order_by(), BY_STATUS),
    ],
    ids=["in order", "of some indexes", "counts"],
)
def test_jobs_of_a_batch_are_read_by_an_index(batch, jobs, index):
    assert indexes("jobs_job", lambda: list(jobs(Job.of_batch(batch.pk)))) == [{index}]


def test_refused_items_are_read_by_their_primary_key(batch):
    items = RefusedItem.of_batch(batch.pk).order_by("pk")[:500]
    [[index]] = indexes("jobs_refuseditem", lambda: list(items))
    assert index.startswith("sqlite_autoindex_jobs_refuseditem")


@pytest.mark.parametrize(
    "act",
    [
        lambda: BatchSweep().seal_abandoned(),
        lambda: BatchSweep().advance(),
        lambda: list(Prune(timezone.now()).batches()),
    ],
    ids=["abandoned", "running", "prune"],
)
def test_batches_are_found_by_their_state(act):
    assert indexes("jobs_batch", act) == [{"batch_state"}]


def test_a_job_without_a_batch_is_in_no_index_of_batches(batch, make_job):
    make_job()
    for index in (BY_STATUS, "job_batch_index", BY_INDEX):
        sql = f"SELECT _id FROM jobs_job INDEXED BY {index} WHERE batch > ''"
        assert len(list(Job.objects.raw(sql))) == 3


@pytest.mark.parametrize("cursor", ["", "&cursor=CURSOR"])
@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("", "batch_client_newest"),
        ("state=finished", "batch_client_state"),
        ("reference=monday", "batch_reference"),
        ("reference=monday&state=finished", "batch_reference"),
    ],
)
@pytest.mark.usefixtures("lasting_keys")
def test_batches_are_listed_by_an_index_of_their_client(client, query, index, cursor):
    address = f"/batches?{query}{cursor}".replace("CURSOR", cursor_after("019a", "default"))
    assert indexes("jobs_batch", lambda: client.get(address)) == [{index}]


@pytest.mark.usefixtures("lasting_keys")
def test_a_batch_is_shown_without_reading_its_jobs(client, batch):
    with reads_of("jobs_job") as reads:
        assert client.get(f"/batches/{batch.pk}").json()["state"] == "finished"
    counts, *finishing = reads
    assert "COVERING INDEX job_batch_status" in plan_of(counts)
    assert all(used_indexes(read) <= {BY_STATUS, BY_INDEX} for read in finishing)


def test_which_of_many_batches_have_open_jobs_is_found_by_indexes(batch, make_job):
    make_job(batch=batch.pk, batch_index=3, status="queued")
    ids = [batch.pk, *(f"b-{number}" for number in range(100))]
    with reads_of("jobs_batch") as reads:
        assert batches_with_open_jobs(ids) == {batch.pk}
    [read] = reads
    assert re.findall(r"INDEX (\w+)", plan_of(read)) == ["sqlite_autoindex_jobs_batch_1", BY_STATUS]
    assert "SCAN" not in plan_of(read)
