"""Each step of the sweep on its own."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from harness.limits import restore_own
from jobs.callbacks import apply, receive, retry_unreadable
from jobs.callbacks.read import Unreadable
from jobs.callbacks.tokens import AttemptRef
from jobs.models import Callback, Job, Status, Stream
from jobs.queue import stream
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.queue.take import take
from jobs.recovery import pending, sweep, takeover
from tests.plans import reads_of
from vendors.catalogue import catalogue
from vendors.models import Vendor

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")

LONG_AGO = datetime.now(UTC) - timedelta(hours=1)


@pytest.fixture
def acme(make_vendor, redis_client):
    vendor = make_vendor()
    restore_own("acme", [], [], [])
    return vendor


def entries(redis_client, name):
    return [fields["job"] for _, fields in redis_client.xrange(getattr(Keys("acme"), name))]


def test_a_due_retry_is_added_to_the_retries_stream(make_job, redis_client, acme):
    due, later = (
        make_job(stream="retries", not_before=LONG_AGO),
        make_job(stream="retries", not_before=datetime.now(UTC) + timedelta(hours=1)),
    )
    assert sweep.enqueue_due_jobs() == 1
    assert entries(redis_client, "retries") == [due.pk]
    assert Job.objects.get(pk=due.pk).not_before is None
    assert Job.objects.get(pk=later.pk).not_before is not None


def test_an_overdue_callback_fails_its_job_and_frees_its_slot(make_job, redis_client, acme):
    job = make_job(status=Status.WAITING, attempt=1, deadline_at=LONG_AGO)
    redis_client.zadd(Keys("acme").in_flight, {job.pk: 1})
    assert sweep.resolve_overdue_jobs() == 1
    assert Job.objects.get().error_code == "callback_overdue"
    assert redis_client.zcard(Keys("acme").in_flight) == 0


@pytest.mark.parametrize(("failures", "status"), [(0, "queued"), (4, "failed")])
def test_an_overdue_callback_is_retried_while_attempts_are_left(
    make_job, redis_client, make_vendor, failures, status
):
    make_vendor(repeat_overdue=True)
    job = make_job(status=Status.WAITING, attempt=1, failures=failures, deadline_at=LONG_AGO)
    sweep.resolve_overdue_jobs()
    assert Job.objects.get().status == status
    assert entries(redis_client, "retries") == ([job.pk] if status == "queued" else [])


def test_a_stored_callback_without_a_verdict_is_applied(make_job, redis_client, acme):
    job = make_job(status=Status.WAITING, attempt=1)
    fields = {
        "vendor": "acme",
        "job": job.pk,
        "run": 1,
        "attempt": 1,
        "body": {"name": "x"},
        "body_bytes": 1,
    }
    Callback.objects.create(key="k", received_at=LONG_AGO, **fields)
    assert sweep.apply_stored_callbacks() == 1
    assert (Job.objects.get().status, Callback.objects.get().verdict) == ("complete", "applied")
    assert apply.apply_pending(datetime.now(UTC), older_than=timedelta(0), limit=5) == 0


@pytest.mark.parametrize("step", [sweep.apply_stored_callbacks, sweep.resolve_overdue_jobs])
def test_a_callback_that_can_not_be_applied_keeps_no_other_waiting(make_job, make_vendor, step):
    bad = make_vendor("bad", adapter="adapters.callbacks.Unstorable")
    for vendor in (bad, make_vendor()):
        job = make_job(vendor=vendor.slug, status=Status.WAITING, attempt=1, deadline_at=LONG_AGO)
        sent = {"webhook_id": "", "body": b'{"ok": true}', "now": LONG_AGO}
        receive.store(vendor, job.pk, AttemptRef(1, 1), **sent)
    step()
    verdicts = dict(Callback.objects.values_list("vendor", "verdict"))
    assert verdicts == {"acme": "applied", "bad": "unreadable"}
    assert "UnicodeEncodeError at " in Callback.objects.get(vendor="bad").reason
    assert Job.objects.get(vendor="acme").status == "complete"


def test_a_stored_callback_counts_after_its_deadline(make_job, redis_client, acme):
    job = make_job(status=Status.WAITING, attempt=1, deadline_at=LONG_AGO)
    ref, now = AttemptRef(1, 1), datetime.now(UTC)
    receive.store(acme, job.pk, ref, webhook_id="", body=b'{"ok": true}', now=now)
    assert sweep.resolve_overdue_jobs() == 1
    assert (Job.objects.get().status, Job.objects.get().result) == ("complete", {"ok": True})


@pytest.fixture
def unreadable(make_vendor, make_job):
    """A job with a callback that its adapter can't read."""
    vendor = make_vendor(adapter="adapters.callbacks.Picky")
    job = make_job(status=Status.WAITING, attempt=1)
    sent = {"webhook_id": "", "body": b'{"surname": "Doe"}', "now": datetime.now(UTC)}
    assert receive.receive(vendor, job.pk, AttemptRef(1, 1), **sent) == "unreadable"
    return job


def correct(adapter="async"):
    Vendor.objects.update(adapter=adapter)
    catalogue.forget()


def test_a_new_sweeper_rereads_unreadable_callbacks(unreadable):
    correct()
    sweep.Sweeper("w")._reread_callbacks()
    assert (Job.objects.get().status, Callback.objects.get().verdict) == ("complete", "applied")


def test_unreadable_callbacks_are_reread_when_the_adapter_changes(
    unreadable,
):
    sweeper = sweep.Sweeper("w")
    sweeper._reread_callbacks()
    assert Job.objects.get().status == "waiting"
    correct()
    sweeper._reread_callbacks()
    assert Job.objects.get().status == "complete"


def test_unreadable_callbacks_are_reread_once_only(unreadable, monkeypatch):
    sweeper = sweep.Sweeper("w")
    reads = []
    monkeypatch.setattr(apply, "read", lambda *of: reads.append(of) or Unreadable("KeyError"))
    for seconds in range(100):
        sweeper.sweep(now=100.0 + seconds)
    assert len(reads) == 1


def test_unreadable_callbacks_of_final_jobs_are_not_reread(unreadable):
    Job.objects.update(status="cancelled")
    correct()
    sweep.Sweeper("w")._reread_callbacks()
    assert Callback.objects.get().verdict == "unreadable"


def test_unreadable_callbacks_are_reread_in_batches(unreadable, monkeypatch):
    monkeypatch.setattr(retry_unreadable, "MAX_PER_STEP", 1)
    row = Callback.objects.get()
    row.id, row.key = "another", "another"
    row.save(force_insert=True)
    sweeper = sweep.Sweeper("w")
    assert [sweeper._reread_callbacks(), sweeper._reread_callbacks()] == [sweep.CHUNK, 0]


@pytest.mark.sqlite  # query plans
def test_resolving_an_overdue_job_reads_only_its_own_callbacks(unreadable):
    Job.objects.update(deadline_at=LONG_AGO)
    with reads_of("jobs_callback") as reads:
        sweep.resolve_overdue_jobs()
    with connection.cursor() as cursor:
        plans = [
            row[3]
            for read in reads
            for row in cursor.execute(f"EXPLAIN QUERY PLAN {read}").fetchall()
        ]
    assert len(plans) >= 3
    assert all("(job=?" in plan or "(_id=?)" in plan for plan in plans), plans


def test_an_overdue_job_gets_its_unreadable_callback_reread_by_the_new_adapter(unreadable):
    correct()
    Job.objects.update(deadline_at=LONG_AGO)
    sweep.resolve_overdue_jobs()
    assert (Job.objects.get().status, Callback.objects.get().verdict) == ("complete", "applied")


def test_a_silent_worker_is_dead_after_two_checks_two_heartbeats_apart(redis_client):
    redis_client.zadd(HEARTBEATS, {"gone": 1})
    detector = takeover.FailureDetector()
    assert [detector.check(now=10), detector.check(now=11), detector.check(now=12.1)] == [
        [],
        [],
        ["gone"],
    ]


def test_a_failed_check_declares_no_worker_dead(redis_client):
    redis_client.zadd(HEARTBEATS, {"gone": 1})
    detector = takeover.FailureDetector()
    detector.check(now=10)
    detector.reset()
    assert detector.check(now=13) == []


def test_unclaimed_entries_of_a_dead_worker_are_requeued(make_job, redis_client, acme):
    job = make_job()
    stream.offer("acme", [job.pk])
    take(acme, "gone", 1)
    assert takeover.take_over("gone")
    assert entries(redis_client, "retries") == [job.pk]
    assert (Job.objects.get().status, Job.objects.get().crashes) == ("queued", 0)
    assert redis_client.xinfo_consumers(Keys("acme").jobs, "workers") == []


def test_one_worker_sweeps_at_a_time(redis_client):
    first, second = sweep.Sweeper("first"), sweep.Sweeper("second")
    assert [first._is_leader(), second._is_leader(), first._is_leader()] == [True, False, True]
    redis_client.delete("enrich:sweeper")
    assert second._is_leader()


@pytest.mark.parametrize("error", [KeyError, OperationalError])
def test_a_failing_step_does_not_block_the_others(make_job, redis_client, acme, monkeypatch, error):
    def fail():
        raise error

    monkeypatch.setattr(sweep, "resolve_overdue_jobs", fail)
    due, lost = make_job(not_before=LONG_AGO), make_job(queued_at=LONG_AGO)
    late = make_job(status="processing", attempt=1, started_at=LONG_AGO, deadline_at=LONG_AGO)
    sweep.Sweeper("w").sweep(now=100.0)
    added = set(entries(redis_client, "retries") + entries(redis_client, "jobs"))
    # While the store is away, the worker that has the answer can't record it.
    assert added == {due.pk, lost.pk} | ({late.pk} if error is KeyError else set())


def test_more_pending_entries_than_one_read_returns_are_all_requeued(
    redis_client, acme, monkeypatch
):
    monkeypatch.setattr(pending, "MAX_ENTRIES", 3)
    stream.add("acme", [f"job-{number}" for number in range(10)], Stream.JOBS)
    take(acme, "gone", 10)
    assert takeover.take_over("gone")
    assert pending.entries_of("acme", "gone") == []


@pytest.mark.sqlite  # query plans
def test_no_step_scans_or_sorts_all_jobs(acme, make_job):
    make_job()  # so that each step has a vendor to check
    make_job(status="waiting")
    plans = []

    def explain(execute, sql, params, many, context):
        if sql.startswith("SELECT"):
            with connection.cursor() as cursor:
                rows = cursor.cursor.execute(
                    cursor.cursor.convert_query(f"EXPLAIN QUERY PLAN {sql}"), params
                )
                plans.extend(row[3] for row in rows)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        sweep.Sweeper("w").sweep(now=100.0)
    assert len([plan for plan in plans if "SEARCH jobs_job " in plan]) >= 12
    assert not [
        plan for plan in plans if "TEMP B-TREE FOR ORDER" in plan or plan.startswith("SCAN jobs_")
    ]


def test_vendors_without_jobs_cost_no_query(acme, make_vendor):
    def queries():
        catalogue.forget()
        with CaptureQueriesContext(connection) as captured:
            sweep.Sweeper("w").sweep(now=100.0)
        return len(captured)

    with_one = queries()
    for number in range(20):
        make_vendor(f"idle-{number}")
    assert queries() == with_one
