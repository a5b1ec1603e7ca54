"""What becomes of a waiting job when its vendor is polled."""

from datetime import timedelta

import pytest

from jobs import lifecycle, operator_actions
from jobs.models import UNKNOWN, Attempt, Kind, Status
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys
from jobs.recovery import pending, takeover
from jobs.recovery.overdue import resolve_overdue_jobs
from jobs.recovery.polls import add_due_polls
from jobs.tests.polling import MINUTE, POLLED, PollingWorker, polled, polls_of, row, waiting
from jobs.worker import polls
from jobs.worker.execute import execute
from vendors.base import Accepted, Done, VendorError
from vendors.catalogue import catalogue

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")

__all__ = ["polled"]  # a fixture

HOUR = timedelta(hours=1)
RESULT = {"name": "John Doe"}
DOWN = VendorError("vendor_error", "It went wrong.", outage=True)


def test_a_poll_that_brings_the_result_completes_its_job(polled, make_job, redis_client):
    adapter = polled(Done(RESULT, cost=2.0, confidence=0.9))
    job = waiting(make_job)
    redis_client.zadd(Keys("acme").in_flight, {job.pk: 1})
    PollingWorker().poll()
    [call] = adapter.polls
    assert (call.reference, call.idempotency_key) == ("ref-1", job.pk)
    found = row(job)
    assert (found.status, found.result, found.outcome) == ("complete", RESULT, "found")
    assert (found.attempt, found.failures, found.next_poll_at) == (1, 0, None)
    [poll] = polls_of(job)
    assert (poll.outcome, poll.number, poll.cost, poll.confidence) == ("found", 1, 2.0, 0.9)
    keys = Keys("acme")
    assert (redis_client.xlen(keys.polls), redis_client.zcard(keys.in_flight)) == (0, 0)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("answer", "outcome", "pause"),
    [
        (Accepted(), "pending", 10),
        (Accepted(retry_after=timedelta(seconds=20)), "pending", 20),
        (Accepted(retry_after=timedelta(hours=20)), "pending", 60),
        (DOWN, "vendor_error", 10),
        (
            VendorError("rate_limited", "Slow.", retry_after=timedelta(seconds=5)),
            "rate_limited",
            10,
        ),
        (VendorError("no_credits", "Pay.", permanent=True), "no_credits", 10),
        (VendorError("auth", "No."), "auth", 10),
    ],
)
def test_a_job_that_is_not_done_is_polled_again(polled, make_job, answer, outcome, pause):
    polled(answer)
    job = waiting(make_job)
    PollingWorker().poll()
    found = row(job)
    [poll] = polls_of(job)
    assert (found.status, found.attempt, found.failures) == ("waiting", 1, 0)
    assert poll.outcome == outcome
    assert abs((found.next_poll_at - poll.ended_at).total_seconds() - pause) < 1
    assert found.next_poll_at <= found.deadline_at


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("code", "status", "failures"),
    [("no_credits", "queued", 0), ("vendor_error", "queued", 1), ("invalid_input", "failed", 0)],
)
def test_a_job_whose_work_was_dropped_is_called_again(polled, make_job, code, status, failures):
    polled(VendorError(code, "The work was dropped.", restart=True))
    job = waiting(make_job)
    PollingWorker().poll()
    found = row(job)
    assert (found.status, found.failures, found.next_poll_at) == (status, failures, None)
    assert [poll.outcome for poll in polls_of(job)] == [code]


@pytest.mark.sqlite
@pytest.mark.parametrize("code", ["invalid_input", "blocked", "bad_reply"])
def test_a_permanent_error_fails_the_job(polled, make_job, code):
    polled(VendorError(code, "No such task.", permanent=True))
    job = waiting(make_job)
    PollingWorker().poll()
    found = row(job)
    assert (found.status, found.error_code, found.error_message) == (
        "failed",
        code,
        "No such task.",
    )


@pytest.mark.parametrize(
    ("definition", "code", "words"),
    [
        (POLLED, "poll_gave_up", "result was not there"),
        ({**POLLED, "callback": {}}, "callback_overdue", "callback did not come"),
    ],
)
def test_the_last_poll_takes_place_at_the_deadline(polled, make_job, definition, code, words):
    polled(Accepted(), definition=definition)
    job = waiting(make_job, deadline=-MINUTE)
    assert resolve_overdue_jobs() == 0
    PollingWorker().poll()
    assert (row(job).status, row(job).next_poll_at) == ("waiting", None)
    assert resolve_overdue_jobs() == 1
    found = row(job)
    assert (found.status, found.error_code) == ("failed", code)
    assert words in found.error_message
    assert "It was polled once, from " in found.error_message


def test_a_poll_after_the_deadline_can_still_bring_the_result(polled, make_job):
    """For example because the vendor was paused over the deadline."""
    adapter = polled(Done(RESULT), paused=True)
    job = waiting(make_job, deadline=-HOUR)
    worker = PollingWorker()
    worker.poll()
    assert (resolve_overdue_jobs(), adapter.polls) == (0, [])
    type(adapter.vendor).objects.update(paused=False)
    catalogue.forget()
    worker.poll()
    assert row(job).status == "complete"


@pytest.mark.sqlite
@pytest.mark.parametrize("code", ["rate_limited", "no_credits", "auth"])
def test_a_job_does_not_fail_because_its_last_poll_was_held_off(polled, make_job, code):
    polled(VendorError(code, "Not now."))
    job = waiting(make_job, deadline=-MINUTE)
    PollingWorker().poll()
    assert (row(job).status, resolve_overdue_jobs()) == ("waiting", 0)
    assert row(job).next_poll_at > redis_clock.now()


@pytest.mark.sqlite
@pytest.mark.parametrize(("failures", "status"), [(0, "queued"), (4, "failed")])
def test_repeat_overdue_calls_again_after_giving_up(polled, make_job, failures, status):
    polled(DOWN, repeat_overdue=True)
    job = waiting(make_job, deadline=-MINUTE, failures=failures)
    PollingWorker().poll()
    resolve_overdue_jobs()
    assert row(job).status == status


def test_a_poll_that_was_not_made_leaves_no_trace_and_is_due_at_once(polled, make_job):
    adapter = polled(Done(RESULT))
    job, worker = waiting(make_job), PollingWorker()
    add_due_polls()
    executions = worker.claim()
    assert [poll.outcome for poll in polls_of(job)] == [UNKNOWN]
    worker.finish(executions)
    assert (polls_of(job), adapter.polls, row(job).status) == ([], [], "waiting")
    assert row(job).next_poll_at <= redis_clock.now()
    worker.poll()
    assert row(job).status == "complete"


def test_nobody_else_polls_before_the_lease_of_a_dead_worker_ends(polled, make_job, redis_client):
    adapter = polled(Done(RESULT))
    job = waiting(make_job)
    add_due_polls()
    assert len(PollingWorker("dead").claim()) == 1
    other = PollingWorker()
    assert other.poll() == []
    assert takeover.take_over("dead")
    assert redis_client.xlen(Keys("acme").polls) == 0
    assert (other.poll(), adapter.polls) == ([], [])
    timeout = timedelta(seconds=30 + polls.LEASE_MARGIN_SECONDS)
    assert timeout - MINUTE / 2 < row(job).next_poll_at - redis_clock.now() <= timeout
    type(job).objects.update(next_poll_at=redis_clock.now())  # time passes
    assert len(other.poll()) == 1
    assert [poll.outcome for poll in polls_of(job)] == [UNKNOWN, "found"]


def test_an_entry_that_was_lost_on_its_way_to_a_worker_is_dropped(polled, make_job, redis_client):
    polled(Done(RESULT))
    job = waiting(make_job)
    add_due_polls()
    type(job).objects.update(status=Status.QUEUED)  # meanwhile it is queued, and has a slot
    PollingWorker().take()
    redis_client.zadd(Keys("acme").in_flight, {job.pk: 1})
    assert pending.requeue("acme", "w", held=()) == 1
    keys = Keys("acme")
    assert (redis_client.xlen(keys.polls), redis_client.xlen(keys.retries)) == (0, 0)
    assert redis_client.zcard(keys.in_flight) == 1


def test_an_entry_whose_job_moved_on_is_dropped_and_its_permit_refunded(
    polled, make_job, redis_client
):
    adapter = polled(Done(RESULT), rate_limits="5/min")
    job = waiting(make_job)
    worker = PollingWorker()
    add_due_polls()
    operator_actions.cancel(row(job), redis_clock.now())
    assert worker.claim() == []
    keys = Keys("acme")
    assert (redis_client.xlen(keys.polls), redis_client.llen(keys.log)) == (0, 0)
    assert (adapter.polls, polls_of(job)) == ([], [])


def test_the_answer_of_a_poll_that_a_callback_overtook_changes_nothing(polled, make_job):
    polled(Done({"name": "by poll"}))
    job, worker = waiting(make_job), PollingWorker()
    add_due_polls()
    [execution] = worker.claim()
    execute(execution)
    ref = {"vendor": "acme", "run": 1, "attempt": 1, "now": redis_clock.now()}
    assert lifecycle.apply([lifecycle.complete_by_callback(job.pk, Done(RESULT), **ref)]) == [True]
    worker.finish([execution])
    assert (row(job).result, execution.happened) == (RESULT, False)
    # The call was made, and counts.
    assert [poll.outcome for poll in polls_of(job)] == ["found"]


@pytest.mark.sqlite
def test_polls_that_fail_open_the_breaker(polled, make_job):
    polled(DOWN)
    for _ in range(5):
        waiting(make_job)
    [*_, last] = PollingWorker().poll()
    assert last.standing.is_open


def test_a_job_keeps_its_last_20_polls_and_those_within_the_longest_window(polled, make_job):
    polled(Accepted(), rate_limits="100/5min")
    job, at = waiting(make_job), redis_clock.now()
    kept = [at - timedelta(seconds=second) for second in (1, 2, 3, *range(1000, 1030))]
    for started_at in kept:
        fields = {"job": job.pk, "vendor": "acme", "run": 1, "number": 1, "worker": "w"}
        Attempt.objects.create(
            kind=Kind.POLL, started_at=started_at, ended_at=at, outcome="pending", **fields
        )
    PollingWorker().poll()
    assert len(polls_of(job)) == 20
    ages = [(at - poll.started_at).total_seconds() for poll in polls_of(job)]
    assert round(max(ages)) == 1015
