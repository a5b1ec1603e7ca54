"""`manage.py prune` deletes old final jobs with their history, and nothing else, wherever it is
interrupted.
"""

import os
import signal
import sys
from datetime import timedelta
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models
from django.utils import timezone

from jobs import operator_actions
from jobs.api.pagination import first_id_at
from jobs.models import Attempt, Callback, Job
from jobs.transfer import prune
from vendors.models import new_id

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def id_at(moment):
    """Return an id made at that moment."""
    return str(UUID(int=UUID(first_id_at(moment)).int | UUID(new_id()).int & (1 << 64) - 1))


def run(*arguments):
    """Run the command as a script would. Return its output."""
    out = StringIO()
    call_command("prune", *arguments, stdout=out)
    return out.getvalue()


def all_ids():
    return {
        pk
        for model in (Job, Attempt, Callback)
        for pk in model.objects.values_list("pk", flat=True)
    }


@pytest.fixture
def make_ended(make_job):
    """Return a function that makes a job that ended some days ago."""

    def make(status="complete", days=40.0, **fields):
        at = timezone.now() - days * DAY
        return make_job(
            **{"id": id_at(at), "status": status, "attempt": 1, "finished_at": at, **fields}
        )

    return make


def make_attempt(job, days=40.0, **fields):
    at = timezone.now() - days * DAY
    return Attempt.objects.create(
        **{
            "id": id_at(at),
            "job": job,
            "vendor": "acme",
            "run": 1,
            "number": 1,
            "worker": "w",
            "outcome": "done",
            **fields,
        },
        started_at=at,
        ended_at=at,
    )


def make_callback(job, days=40.0, **fields):
    at = timezone.now() - days * DAY
    pk = id_at(at)
    return Callback.objects.create(
        **{"id": pk, "key": pk, "job": job, "vendor": "acme", "verdict": "unmatched", **fields},
        body={"info": "x"},
        body_bytes=12,
        received_at=at,
    )


def test_old_jobs_are_deleted_with_their_attempts_and_callbacks(make_ended):
    for status in ("complete", "failed", "cancelled"):
        job = make_ended(status)
        make_attempt(job.pk)
        make_attempt(job.pk, number=2)
        make_callback(job.pk, verdict="applied")
        make_callback(job.pk, days=1, verdict="late")
    assert run("--older-than=30d", "--yes") == "3 jobs deleted\n"
    assert all_ids() == set()


def test_open_and_recently_ended_jobs_are_kept(make_ended):
    jobs = [
        make_ended(status, days=400, finished_at=None)
        for status in ("queued", "processing", "waiting")
    ]
    jobs += [
        make_ended(days=29),
        make_ended("failed", days=400, finished_at=timezone.now() - 29 * DAY),
    ]
    rows = [
        *jobs,
        *(make_attempt(job.pk) for job in jobs),
        *(make_callback(job.pk) for job in jobs),
    ]
    assert run("--older-than=30d", "--yes") == "0 jobs deleted\n"
    assert all_ids() == {row.pk for row in rows}


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (["--older-than=30d"], {0, 1, 2}),
        (["--older-than=1000h"], {1, 2}),
        (["--older-than=8w"], {2}),
        (["--older-than=30d", "--vendor=globex"], {1}),
        (["--older-than=30d", "--status=failed"], {2}),
        (["--older-than=30d", "--status=failed", "--vendor=globex"], set()),
    ],
    ids=str,
)
def test_options_choose_what_is_deleted(make_ended, arguments, chosen):
    jobs = [
        make_ended(days=40),
        make_ended(days=50, vendor="globex"),
        make_ended("failed", days=60),
    ]
    run(*arguments, "--yes")
    kept = {job.pk for number, job in enumerate(jobs) if number not in chosen}
    assert set(Job.objects.values_list("pk", flat=True)) == kept


def test_old_attempts_and_callbacks_without_a_job_are_deleted(make_job):
    make_callback("never-was"), make_attempt("gone")
    recent = [make_callback("never-was", days=20), make_attempt("gone", days=20)]
    kept = make_callback(
        make_job(id=id_at(timezone.now() - 50 * DAY), status="waiting").pk, verdict=""
    )
    assert (
        run("--older-than=30d", "--yes")
        == "0 jobs deleted, and 1 attempt and 1 callback without a job\n"
    )
    assert all_ids() == {kept.pk, kept.job, *(row.pk for row in recent)}


def test_vendor_option_keeps_rows_of_other_vendors(make_ended):
    other = make_callback("never-was", vendor="globex")
    make_callback("never-was")
    run("--older-than=30d", "--yes", "--vendor=acme")
    assert all_ids() == {other.pk}


def test_rows_are_deleted_in_bounded_batches(make_ended, monkeypatch):
    monkeypatch.setattr(prune, "BATCH", 2)
    for _ in range(5):
        make_callback("never-was")
        make_attempt(make_ended().pk)
    steps = prune.Prune(timezone.now() - 30 * DAY)
    assert list(steps.jobs()) == [2, 2, 1]
    assert [sum(counts.values()) for counts in steps.orphans()] == [2, 2, 1]
    assert all_ids() == set()


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


def test_two_prunes_at_once_delete_each_job_once(make_ended, monkeypatch):
    for _ in range(3):
        make_attempt(make_ended().pk)
    others = []
    before_the_delete_of(monkeypatch, Job, lambda: others.append(run("--older-than=30d", "--yes")))
    assert run("--older-than=30d", "--yes") == "0 jobs deleted\n"
    assert others == ["3 jobs deleted\n"]
    assert all_ids() == set()


def test_interrupt_finishes_the_current_batch(make_ended, monkeypatch):
    monkeypatch.setattr(prune, "BATCH", 2)
    for _ in range(5):
        make_attempt(make_ended().pk)
    out = StringIO()
    before_the_delete_of(monkeypatch, Attempt, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        call_command("prune", "--older-than=30d", "--yes", stdout=out)
    assert (ended.value.code, out.getvalue()) == (
        130,
        "Interrupted: 2 jobs deleted. Run it again for the rest.\n",
    )
    assert Job.objects.count() == Attempt.objects.count() == 3
    assert run("--older-than=30d", "--yes") == "3 jobs deleted\n"


@pytest.mark.parametrize("limits", ["5/s, 1000/31day", "1000/25h"])
def test_attempts_within_a_limits_window_are_kept(make_ended, make_vendor, limits):
    make_vendor("acme", rate_limits=limits)
    make_vendor("globex", rate_limits="10/s")
    make_attempt(make_ended(days=2).pk, days=2)
    with pytest.raises(
        CommandError, match="The limits of vendor acme .* count calls that are older"
    ):
        run("--older-than=1d", "--yes")
    assert Attempt.objects.count() == 1
    assert run("--older-than=1d", "--yes", "--vendor=globex") == "0 jobs deleted\n"


def test_age_of_the_longest_window_is_allowed(make_ended, make_vendor):
    make_vendor("acme", rate_limits="20000/day")
    make_ended(days=1)  # within the clock margin
    make_ended(days=1.1)
    assert run("--older-than=24h", "--yes") == "1 job deleted\n"


def test_dry_run_and_answering_no_change_nothing(make_ended, monkeypatch):
    make_ended(), make_callback("never-was")
    assert run("--older-than=30d", "--dry-run", "--yes") == "1 job would be deleted.\n"
    monkeypatch.setattr(
        "jobs.management.commands.prune.confirm",
        lambda question: "1 job and old callbacks" not in question,
    )
    assert run("--older-than=30d") == "Nothing was changed.\n"
    assert len(all_ids()) == 2


@pytest.mark.parametrize("age", ["", "30", "d", "-3d", "1.5d", "23h", "0w", "99999w", "٣d"])
def test_invalid_age_is_refused(age):
    with pytest.raises(
        CommandError, match="is not an age|is not between a day and a hundred years"
    ):
        run(f"--older-than={age}", "--yes")


@pytest.mark.skipif(
    connection.vendor != "sqlite", reason="MongoDB explains its plans in another way"
)
@pytest.mark.parametrize("choice", [{}, {"status": "failed"}, {"vendor": "acme"}], ids=str)
def test_each_batch_is_read_by_an_index(choice):
    ended = prune.Prune(timezone.now(), **choice)._ended("failed")
    plan = ended.values_list("pk").filter(pk__gt="0").order_by("pk")[: prune.BATCH].explain()
    assert "USING INDEX" in plan
    assert "B-TREE" not in plan


def test_unknown_vendor_is_refused_with_a_list_of_known_ones(make_vendor, make_ended):
    for number in range(22):
        make_vendor(f"vendor-{number:02}")
    with pytest.raises(
        CommandError, match=r"There is no vendor 'nosuch'.*vendor-00, .*vendor-19 and 2 more\.$"
    ):
        run("--older-than", "30d", "--yes", "--vendor", "nosuch")


def test_rows_of_a_deleted_vendor_can_be_pruned(make_ended):
    make_ended(vendor="gone")
    make_callback(make_ended(vendor="other").pk, vendor="gone-too")
    assert run("--older-than", "30d", "--yes", "--vendor", "gone") == "1 job deleted\n"
    assert run("--older-than", "30d", "--yes", "--vendor", "gone-too") == "0 jobs deleted\n"
