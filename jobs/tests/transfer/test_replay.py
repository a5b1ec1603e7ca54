"""`manage.py replay` retries the chosen jobs once, after a confirmation."""

import os
import signal
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import StringIO
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from jobs import lifecycle, operator_actions
from jobs.api.pagination import first_id_at
from jobs.models import Job
from jobs.queue.keys import Keys
from jobs.storage.bulk_writes import update_each
from jobs.transfer import replay
from tests.plans import assert_quick, reads_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _acme(make_vendor, redis_client):
    make_vendor("acme")


@pytest.fixture
def make_ended(make_job):
    """Return a function that makes a job that ended a minute ago."""

    def make(status="failed", **fields):
        defaults = {"finished_at": timezone.now() - timedelta(minutes=1), "attempt": 1}
        return make_job(status=status, **{**defaults, **fields})

    return make


def run(*arguments):
    """Run the command as a script would. Return its output."""
    out = StringIO()
    call_command("replay", *arguments, stdout=out)
    return out.getvalue()


def retried():
    return set(Job.objects.filter(status="queued", run=2).values_list("pk", flat=True))


def test_failed_jobs_and_no_others_are_added_to_the_retries_stream(make_ended, redis_client):
    failed = [make_ended().pk for _ in range(3)]
    for status in ("cancelled", "complete", "queued", "processing", "waiting"):
        make_ended(status)
    assert run("--yes") == "3 retried, 0 skipped\n"
    assert retried() == set(failed)
    assert [fields["job"] for _id, fields in redis_client.xrange(Keys("acme").retries)] == failed


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [
        (["--status", "cancelled"], {4}),
        (["--vendor", "globex"], {1}),
        (["--error-code", "vendor_rejected"], {2}),
        (["--created-after", "2026-01-03"], {2, 3}),
        (["--created-before", "2026-01-03T00:00:00Z"], {0, 1}),
        (["--created-after", "2026-01-02T01:00+01:00", "--created-before", "2026-01-03"], {1}),
        (["--limit", "2"], {0, 1}),
        (["--vendor", "globex", "--error-code", "vendor_rejected"], set()),
    ],
    ids=str,
)
def test_options_choose_what_is_retried(make_ended, make_vendor, arguments, chosen):
    make_vendor("globex")
    globex, rejected = {"vendor": "globex"}, {"error_code": "vendor_rejected"}
    fields = [{}, globex, rejected, {}, {"status": "cancelled", **globex}]
    days = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4)]
    days.append(datetime(2025, 1, 1, tzinfo=UTC))
    jobs = [make_ended(id=first_id_at(day), **each) for day, each in zip(days, fields, strict=True)]
    run("--yes", *arguments)
    assert retried() == {jobs[number].pk for number in chosen}


def test_failed_and_cancelled_jobs_are_retried_by_id(make_ended):
    wanted = [make_ended(), make_ended("cancelled")]
    others = [make_ended(), make_ended("complete")]
    named = [f"--id={job.pk.upper()}" for job in [*wanted, others[1], wanted[0]]]
    assert run("--yes", *named) == "2 retried, 0 skipped\n"
    assert retried() == {job.pk for job in wanted}


def test_dry_run_shows_the_first_jobs_and_changes_nothing(make_ended):
    jobs = [make_ended(error_code="vendor_rejected", name="Jane Roe") for _ in range(7)]
    output = run("--dry-run", "--yes").splitlines()
    assert output[0] == "7 jobs would be retried."
    assert output[1:6] == [f"  {job.pk}  acme  vendor_rejected" for job in jobs[:5]]
    assert output[6:] == ["  and 2 more"]
    assert retried() == set()


def test_jobs_are_retried_in_bounded_batches(make_ended, monkeypatch):
    monkeypatch.setattr(replay, "CHUNK", 2)
    for vendor in ("acme", "gone", "acme", "gone", "acme"):
        make_ended(vendor=vendor)
    assert run("--yes", "--limit=4") == "2 retried, 2 skipped\n"
    assert run("--yes") == "1 retried, 2 skipped\n"


def test_second_replay_retries_nothing(make_ended):
    make_ended()
    assert run("--yes") == "1 retried, 0 skipped\n"
    assert run("--yes") == "No jobs to retry.\n"
    assert Job.objects.get().run == 2


def test_job_that_fails_again_is_not_retried_twice_in_one_replay(make_ended, monkeypatch):
    monkeypatch.setattr(replay, "CHUNK", 1)
    jobs = [make_ended(), make_ended()]
    real = operator_actions.retry

    def retry_and_fail_again(job, now):
        happened = real(job, now)
        Job.objects.filter(pk=jobs[1].pk).update(status="failed", finished_at=timezone.now())
        return happened

    monkeypatch.setattr(operator_actions, "retry", retry_and_fail_again)
    assert run("--yes") == "1 retried, 0 skipped\n"
    assert Job.objects.get(pk=jobs[1].pk).status == "failed"


@contextmanager
def after_each_move(do):
    apply = lifecycle.apply

    def apply_and_do(moves):
        happened = apply(moves)
        do()
        return happened

    with patch.object(lifecycle, "apply", apply_and_do):
        yield


def test_job_retried_by_another_operator_is_skipped(make_ended):
    make_ended()
    second = make_ended()
    other_operator = lifecycle.retry(second, timezone.now()).update()
    with after_each_move(lambda: update_each([other_operator])):
        assert run("--yes") == "1 retried, 1 skipped\n"
    assert [job.run for job in Job.objects.all()] == [2, 2]


def test_job_of_a_deleted_vendor_is_skipped(make_ended):
    make_ended(vendor="gone")
    assert run("--yes") == "0 retried, 1 skipped\n"
    assert Job.objects.get().status == "failed"


def test_interrupt_finishes_the_current_job_and_reports_the_counts(make_ended):
    for _ in range(3):
        make_ended()
    before, out = signal.getsignal(signal.SIGINT), StringIO()
    with (
        after_each_move(lambda: os.kill(os.getpid(), signal.SIGINT)),
        pytest.raises(SystemExit) as ended,
    ):
        call_command("replay", "--yes", stdout=out)
    assert (ended.value.code, len(retried())) == (130, 1)
    assert out.getvalue() == "Interrupted: 1 retried, 0 skipped. Run it again for the rest.\n"
    assert signal.getsignal(signal.SIGINT) is before
    assert run("--yes") == "2 retried, 0 skipped\n"


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("answer", "count"), [("y", 1), ("Yes", 1), ("n", 0), ("", 0), ("yeah", 0)]
)
def test_terminal_is_asked_for_confirmation(make_ended, monkeypatch, capsys, answer, count):
    make_ended()
    monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
    output = run()
    assert "1 job will be retried. Continue? [y/N]" in capsys.readouterr().out
    assert output == ("1 retried, 0 skipped\n" if count else "Nothing was changed.\n")
    assert len(retried()) == count


def test_without_a_terminal_yes_is_required(make_ended, monkeypatch):
    make_ended(), make_ended()
    monkeypatch.setattr("sys.stdin", StringIO("y\n"))
    refusal = "2 jobs will be retried. No terminal to confirm on. Pass --yes to proceed"
    with pytest.raises(CommandError, match=refusal):
        run()
    assert retried() == set()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--vendor", "unknown"], "There is no vendor 'unknown'. Known vendors: acme."),
        (["--id", "x"], "'x' is not a request id"),
        (
            ["--id", "019a0000-0000-7000-8000-000000000000"],
            "There is no job 019a0000-0000-7000-8000-000000000000.",
        ),
        (
            ["--id", "019a0000-0000-7000-8000-000000000000", "--limit", "1"],
            "--id already names the jobs. Leave out --limit.",
        ),
        (["--status", "complete"], "invalid choice: 'complete'"),
        (["--limit", "0"], "'0' is not a positive whole number"),
        (["--limit", "-3"], "'-3' is not a positive whole number"),
        (
            ["--created-after", "yesterday"],
            "'yesterday' is not a time, such as 2026-01-31T12:00:00Z",
        ),
        (
            ["--created-after", "2026-02-01", "--created-before", "2026-01-01"],
            "--created-after must be earlier",
        ),
        (["--status", "cancelled", "--error-code", "x"], "Cancelled jobs have no error code"),
        (
            ["--callbacks", "--status", "failed", "--error-code", "x"],
            "--callbacks allows only --id and --vendor. Leave out --status and --error-code.",
        ),
    ],
    ids=str,
)
def test_contradicting_and_invalid_options_are_refused(make_ended, arguments, sentence):
    make_ended()
    with pytest.raises(CommandError, match=sentence.replace("(", r"\(")):
        run("--yes", *arguments)
    assert retried() == set()


@pytest.mark.parametrize(
    "choice", [{"status": "failed"}, {"status": "failed", "vendor": "acme"}], ids=str
)
def test_each_batch_is_read_by_an_index(make_ended, choice):
    make_ended()
    with reads_of("jobs_job") as reads:
        assert next(iter(replay.JobReplay(replay.Choice(**choice), timezone.now())))
    assert_quick(reads, finds=True)
