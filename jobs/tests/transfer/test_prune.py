"""`manage.py prune` deletes old final jobs with their history, and nothing else."""

import pytest
from django.core.management import CommandError
from django.db import connection
from django.utils import timezone

from jobs.models import Job
from jobs.tests.transfer.old_rows import DAY, all_ids, id_at, make_attempt, make_callback, run
from jobs.transfer import prune

pytestmark = pytest.mark.django_db


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
    statuses = ("queued", "processing", "waiting")
    jobs = [make_ended(status, days=400, finished_at=None) for status in statuses]
    recently = timezone.now() - 29 * DAY
    jobs += [make_ended(days=29), make_ended("failed", days=400, finished_at=recently)]
    attempts = [make_attempt(job.pk) for job in jobs]
    callbacks = [make_callback(job.pk) for job in jobs]
    assert run("--older-than=30d", "--yes") == "0 jobs deleted\n"
    assert all_ids() == {row.pk for row in [*jobs, *attempts, *callbacks]}


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
    waiting = make_job(id=id_at(timezone.now() - 50 * DAY), status="waiting")
    kept = make_callback(waiting.pk, verdict="")
    output = run("--older-than=30d", "--yes")
    assert output == "0 jobs deleted, and 1 attempt and 1 callback without a job\n"
    assert all_ids() == {kept.pk, kept.job, *(row.pk for row in recent)}


def test_vendor_option_keeps_rows_of_other_vendors(make_ended):
    other = make_callback("never-was", vendor="globex")
    make_callback("never-was")
    run("--older-than=30d", "--yes", "--vendor=acme")
    assert all_ids() == {other.pk}


def test_rows_are_deleted_in_bounded_batches(make_ended, monkeypatch):
    monkeypatch.setattr(prune, "CHUNK", 2)
    for _ in range(5):
        make_callback("never-was")
        make_attempt(make_ended().pk)
    steps = prune.Prune(timezone.now() - 30 * DAY)
    assert [counts["job"] for counts in steps.jobs()] == [2, 2, 1]
    assert [sum(counts.values()) for counts in steps.orphans()] == [2, 2, 1]
    assert all_ids() == set()


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
    plan = ended.values_list("pk").filter(pk__gt="0").order_by("pk")[: prune.CHUNK].explain()
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
