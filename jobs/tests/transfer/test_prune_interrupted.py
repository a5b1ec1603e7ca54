"""`manage.py prune` deletes each row once, whoever else writes and wherever it is interrupted."""

import os
import signal
import sys
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, models
from django.utils import timezone

from jobs import operator_actions
from jobs.models import Attempt, Callback, Job
from jobs.tests.transfer.old_rows import all_ids, make_attempt, make_callback, run
from jobs.transfer import prune

pytestmark = pytest.mark.django_db


def before_the_delete_of(monkeypatch, model, act):
    """Call `act` once, just before rows of the model are deleted."""
    real, done = models.QuerySet.delete, []

    def delete(rows):
        if rows.model is model and not done:
            done.append(1)
            act()
        return real(rows)

    monkeypatch.setattr(models.QuerySet, "delete", delete)


def die_before_the_delete_of(monkeypatch, model):
    with monkeypatch.context() as patch:
        before_the_delete_of(patch, model, lambda: sys.exit("killed"))
        with pytest.raises(SystemExit):
            run("--older-than=30d", "--yes")


def test_job_retried_during_the_prune_keeps_its_row_and_history(
    make_ended, make_vendor, redis_client, monkeypatch
):
    make_vendor()
    retried, gone = make_ended("failed"), make_ended("failed")
    kept = [make_attempt(retried.pk), make_callback(retried.pk)]
    make_attempt(gone.pk)
    before_the_delete_of(monkeypatch, Job, lambda: operator_actions.retry(retried, timezone.now()))
    assert run("--older-than=30d", "--yes") == "1 job deleted\n"
    assert Job.objects.get().status == "queued"
    assert all_ids() == {retried.pk, *(row.pk for row in kept)}


@pytest.mark.skipif(connection.vendor != "mongodb", reason="on SQLite a batch is one commit")
@pytest.mark.parametrize("model", [Attempt, Callback])
def test_next_prune_deletes_what_a_crash_left_without_a_job(make_ended, monkeypatch, model):
    job = make_ended()
    make_attempt(job.pk), make_callback(job.pk)
    die_before_the_delete_of(monkeypatch, model)
    assert not Job.objects.exists()
    assert Callback.objects.exists()
    run("--older-than=30d", "--yes")
    assert all_ids() == set()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="on MongoDB there is no such commit")
def test_crash_within_a_batch_rolls_it_back(make_ended, monkeypatch):
    job = make_ended()
    rows = [job, make_attempt(job.pk), make_callback(job.pk)]
    die_before_the_delete_of(monkeypatch, Callback)
    assert all_ids() == {row.pk for row in rows}


def test_two_prunes_at_once_delete_or_keep_each_row_once(make_ended, make_vendor, monkeypatch):
    make_vendor(rate_limits="1000/31day")
    for _ in range(2):
        make_attempt(make_ended().pk)
    counted = make_attempt(make_ended(days=30.5).pk, days=30.5)
    others = []
    before_the_delete_of(monkeypatch, Job, lambda: others.append(run("--older-than=30d", "--yes")))
    assert run("--older-than=30d", "--yes") == "0 jobs deleted\n"
    assert others == ["3 jobs deleted; 1 attempt kept, which limits still count\n"]
    assert all_ids() == {counted.pk}


def test_interrupt_finishes_the_current_batch(make_ended, monkeypatch):
    monkeypatch.setattr(prune, "CHUNK", 2)
    for _ in range(5):
        make_attempt(make_ended().pk)
    out = StringIO()
    before_the_delete_of(monkeypatch, Attempt, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        call_command("prune", "--older-than=30d", "--yes", stdout=out)
    assert ended.value.code == 130
    assert out.getvalue() == "Interrupted: 2 jobs deleted. Run it again for the rest.\n"
    assert Job.objects.count() == Attempt.objects.count() == 3
    assert run("--older-than=30d", "--yes") == "3 jobs deleted\n"
