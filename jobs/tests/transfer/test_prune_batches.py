"""`manage.py prune` deletes an old finished batch once none of its jobs is left."""

import sys

import pytest
from django.utils import timezone

from jobs import batches
from jobs.models import Batch, Job, RefusedItem
from jobs.tests.transfer.old_rows import DAY, all_ids, make_batch, run
from jobs.tests.transfer.test_prune_interrupted import before_the_delete_of
from jobs.transfer import prune

pytestmark = pytest.mark.django_db


def test_an_old_finished_batch_is_deleted_with_its_jobs_and_refused_items(make_ended, monkeypatch):
    monkeypatch.setattr(prune, "CHUNK", 2)
    for _ in range(3):
        batch = make_batch(refused=3)
        for index in range(3, 6):
            make_ended(batch=batch.pk, batch_index=index)
    assert run("--older-than=30d", "--yes") == "9 jobs and 3 batches deleted\n"
    assert all_ids() == set()


def test_unfinished_and_recent_batches_and_those_with_jobs_are_kept(make_ended):
    unfinished = [make_batch(state, days=400, refused=1) for state in ("receiving", "running")]
    recent = make_batch(days=40, finished_days=20, refused=1)
    with_job = make_batch(refused=1)
    job = make_ended(batch=with_job.pk, batch_index=1, finished_at=timezone.now() - 29 * DAY)
    kept = {batch.pk for batch in (*unfinished, recent, with_job)}
    assert run("--older-than=30d", "--yes") == "0 jobs deleted\n"
    assert {pk[:36] for pk in all_ids()} == {*kept, job.pk}
    assert RefusedItem.objects.count() == 4


@pytest.mark.parametrize("option", ["--vendor=acme", "--status=complete"])
def test_prune_of_one_vendor_or_status_keeps_batches(make_ended, option):
    batch = make_batch(refused=1)
    make_ended(batch=batch.pk, batch_index=1)
    assert run("--older-than=30d", "--yes", option) == "1 job deleted\n"
    assert Batch.objects.count() == RefusedItem.objects.count() == 1
    assert run("--older-than=30d", "--yes") == "0 jobs and 1 batch deleted\n"


def test_a_batch_that_is_retried_during_the_prune_is_kept(monkeypatch):
    batch = make_batch(refused=1)
    before_the_delete_of(
        monkeypatch, Batch, lambda: batches.request_retry(batch.pk, timezone.now())
    )
    assert run("--older-than=30d", "--yes") == "0 jobs deleted\n"
    assert Batch.objects.get().state == "running"
    assert RefusedItem.objects.count() == 1


def test_the_next_prune_deletes_the_refused_items_that_a_crash_left(monkeypatch):
    make_batch(refused=2), make_batch(days=1, refused=1)
    with monkeypatch.context() as patch:
        before_the_delete_of(patch, RefusedItem, lambda: sys.exit("killed"))
        with pytest.raises(SystemExit):
            run("--older-than=30d", "--yes")
    assert (Batch.objects.count(), RefusedItem.objects.count()) == (1, 3)
    assert run("--older-than=30d", "--yes") == "0 jobs deleted\n"
    assert (Batch.objects.count(), RefusedItem.objects.count()) == (1, 1)


def test_jobs_of_a_batch_that_is_gone_are_kept_until_they_are_old(make_ended):
    job = make_ended(days=20, batch="gone", batch_index=0)
    make_ended(batch="gone", batch_index=1)
    assert run("--older-than=30d", "--yes") == "1 job deleted\n"
    assert Job.objects.get() == job
