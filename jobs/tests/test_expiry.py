"""Jobs with expires_in or not_before, through every move that may happen to them."""

from datetime import UTC, datetime, timedelta

import pytest

from harness.limits import restore_own
from jobs import lifecycle, operator_actions
from jobs.models import Attempt, Job, Status, Stream
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys
from jobs.queue.take import take
from jobs.recovery import lost_entries, sweep
from jobs.recovery.overdue import CHUNK
from jobs.tests.tallies.counted import counted
from jobs.worker.claim import claim
from tests.plans import reads_of
from vendors.base import Accepted

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")

NOW = datetime.now(UTC).replace(microsecond=0)
SOON = NOW + timedelta(minutes=5)
LATE = SOON + timedelta(minutes=5)
DOWN = ("vendor_error", "It answered 500.")


@pytest.fixture(autouse=True)
def acme(make_vendor, redis_client):
    restore_own("acme", [], [], [])
    return make_vendor()


@pytest.fixture
def at(monkeypatch):
    """Set the time by which jobs are decided about."""

    def at(moment):
        monkeypatch.setattr(redis_clock, "now", lambda: moment)

    at(NOW)
    return at


@pytest.fixture
def job(make_job, at):
    return make_job(expires_at=SOON, attempt=0)


def row(job):
    return Job.objects.get(pk=job.pk)


def claimed(job, now=NOW):
    """Claim the job for a worker; returns it, or None if it could not be claimed."""
    found = lifecycle.claim(
        [job.pk], worker="w", run_token=lifecycle.new_token(), now=now, deadline_at=LATE
    )
    return found[0] if found else None


def apply(move):
    [happened] = lifecycle.apply([move])
    return happened


def entries(redis_client, name):
    return [entry["job"] for _, entry in redis_client.xrange(getattr(Keys("acme"), name))]


def assert_expired(job):
    after = row(job)
    assert (after.status, after.error_code) == ("failed", "expired")
    assert after.finished_at is not None
    assert not Attempt.objects.exists()


# Expiry.


def test_a_job_that_was_not_started_in_time_fails(job, at, redis_client):
    assert sweep.resolve_overdue_jobs() == 0
    at(SOON)
    assert sweep.resolve_overdue_jobs() == 1
    assert_expired(job)
    assert row(job).error_message == (
        f"The job was not started by {SOON:%Y-%m-%d %H:%M:%S} UTC, as its expires_in asked. "
        "If it is still wanted, retry it, or post it again with a longer expires_in."
    )
    assert counted("acme").job_codes == {"expired": 1}
    assert sweep.resolve_overdue_jobs() == 0


def test_an_expired_job_is_not_started_even_before_the_sweep_fails_it(job):
    assert claimed(job, now=SOON) is None
    assert claimed(job, now=SOON - timedelta(milliseconds=1))


def test_the_entry_of_an_expired_job_is_dropped_and_its_permit_refunded(
    job, at, acme, redis_client, make_job
):
    acme.rate_limits = "1/min"
    restore_own("acme", acme.windows, [], [])
    live = make_job()
    stream.add("acme", [job.pk, live.pk], Stream.JOBS)
    at(SOON)
    sweep.resolve_overdue_jobs()
    started = []
    held = Held()
    for _ in range(3):
        started += claim([take(acme, "w", 1)], "w", held)
    assert [execution.job.pk for execution in started] == [live.pk]
    assert redis_client.xlen(Keys("acme").jobs) == 1


class Held:
    """Settles entries as a worker's HeldEntries does."""

    def settle(self, slug, settlements):
        stream.settle(slug, settlements)


def test_a_job_that_was_started_does_not_expire(job, at):
    assert claimed(job)
    at(SOON + timedelta(seconds=1))
    assert sweep.resolve_overdue_jobs() == 0
    assert row(job).status == "processing"
    assert row(job).deadline_at == LATE


def test_a_released_job_still_expires(job, at, redis_client):
    for _ in range(2):  # its second claim is no first start either
        assert apply(lifecycle.release(claimed(job), NOW))
        assert (row(job).deadline_at, row(job).expires_at) == (SOON, SOON)
    at(SOON)
    assert sweep.resolve_overdue_jobs() == 1
    assert_expired(job)


@pytest.mark.parametrize(
    "move",
    [
        lambda job: lifecycle.retry_later(job, *DOWN, counts=True, not_before=None, now=NOW),
        lambda job: lifecycle.retry_later(job, *DOWN, counts=False, not_before=SOON, now=NOW),
        lambda job: lifecycle.take_over(job, repeat=True, now=NOW),
        lambda job: lifecycle.interrupt(job, repeat=True, now=NOW),
    ],
    ids=["retried", "delayed", "taken over", "interrupted"],
)
def test_a_later_attempt_does_not_expire(job, at, move):
    assert apply(move(claimed(job)))
    assert (row(job).deadline_at, row(job).expires_at) == (None, None)
    at(LATE)
    assert sweep.resolve_overdue_jobs() == 0
    sweep.enqueue_due_jobs()
    assert apply(lifecycle.release(claimed(job, now=LATE), LATE))
    assert row(job).deadline_at is None


def test_an_attempt_after_an_overdue_callback_does_not_expire(job):
    assert apply(lifecycle.wait(claimed(job), Accepted(), deadline_at=SOON, now=NOW))
    assert apply(lifecycle.overdue(row(job), repeat=True, now=LATE))
    assert (row(job).status, row(job).deadline_at) == ("queued", None)


def test_a_retried_job_does_not_expire(job, at, redis_client):
    at(SOON)
    sweep.resolve_overdue_jobs()
    assert operator_actions.retry(row(job), SOON)
    assert sweep.resolve_overdue_jobs() == 0
    assert (row(job).expires_at, row(job).run) == (None, 2)
    assert claimed(job, now=LATE)


def test_a_cancelled_job_does_not_expire(job, at):
    assert operator_actions.cancel(job, NOW)
    at(LATE)
    assert sweep.resolve_overdue_jobs() == 0
    assert row(job).status == "cancelled"


def test_a_job_that_moved_on_does_not_expire(job):
    stale = row(job)
    assert claimed(job)
    assert not apply(lifecycle.expire(stale, SOON))
    assert apply(lifecycle.release(row(job), NOW))
    assert not apply(lifecycle.expire(stale, SOON))


def test_many_jobs_expire_in_chunks(make_job, at):
    Job.objects.bulk_create(
        [Job.new(vendor="acme", name="x", input={}, expires_at=SOON) for _ in range(CHUNK + 1)]
    )
    make_job(expires_at=LATE)
    make_job()
    at(SOON)
    assert [sweep.resolve_overdue_jobs() for _ in range(3)] == [CHUNK, 1, 0]
    assert Job.objects.filter(status="queued").count() == 2


def test_without_such_jobs_the_sweep_reads_no_more_than_before(make_job, at):
    make_job(status=Status.COMPLETE)
    with reads_of("jobs_job") as reads:
        sweep.resolve_overdue_jobs()
        sweep.enqueue_due_jobs()
    assert len(reads) == 2


# Delayed jobs.


@pytest.fixture
def delayed(make_job, at):
    return make_job(not_before=SOON)


def test_a_delayed_job_goes_to_the_stream_of_first_attempts_when_it_is_due(
    delayed, make_job, at, redis_client
):
    retried = make_job(not_before=SOON, stream=Stream.RETRIES, attempt=1)
    assert sweep.enqueue_due_jobs() == 0
    assert claimed(delayed) is None
    at(SOON)
    assert sweep.enqueue_due_jobs() == 2
    assert entries(redis_client, "jobs") == [delayed.pk]
    assert entries(redis_client, "retries") == [retried.pk]
    assert (row(delayed).not_before, row(delayed).queued_at) == (None, SOON)
    assert claimed(delayed, now=SOON)


def test_a_delayed_job_is_not_taken_for_lost(delayed, at):
    at(SOON - timedelta(seconds=1))
    assert lost_entries.requeue("acme") == 0


def test_a_due_job_whose_entry_was_lost_gets_another_in_the_same_stream(
    delayed, at, redis_client, monkeypatch
):
    at(SOON)
    monkeypatch.setattr(stream, "add", lambda *call: None)
    sweep.enqueue_due_jobs()
    monkeypatch.undo()
    Job.objects.update(queued_at=NOW - timedelta(hours=1))
    redis_client.set(Keys("acme").intact_since, 1)
    assert lost_entries.requeue("acme") == 1
    assert entries(redis_client, "jobs") == [delayed.pk]


def test_a_delayed_job_can_be_cancelled(delayed, at, redis_client):
    assert operator_actions.cancel(delayed, NOW)
    at(SOON)
    assert sweep.enqueue_due_jobs() == 0
    assert redis_client.xlen(Keys("acme").jobs) == 0


def test_a_delayed_job_expires_after_its_delay(make_job, at, redis_client):
    job = make_job(not_before=SOON, expires_at=LATE)
    at(SOON)
    assert (sweep.resolve_overdue_jobs(), sweep.enqueue_due_jobs()) == (0, 1)
    assert row(job).deadline_at == LATE
    at(LATE)
    assert sweep.resolve_overdue_jobs() == 1
    assert_expired(job)
