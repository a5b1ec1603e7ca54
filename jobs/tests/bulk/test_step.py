"""The sweep carries out bulk actions, whatever interrupts it."""

from contextlib import contextmanager
from unittest.mock import patch

import pytest
from django.db.models import QuerySet

from audit.models import Entry
from jobs import operator_actions
from jobs.bulk import actions, holds, step
from jobs.models import Job
from jobs.queue import stream
from jobs.queue.held.recent import recent_holds
from jobs.storage import bulk_writes
from jobs.tests.bulk.rows import (
    BOB,
    LONG_AGO,
    advance_to_the_end,
    change,
    entries,
    have_a_worker,
    make_failed,
    runs,
    soon,
    start,
    stored,
)
from vendors.catalogue import catalogue

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("acme")]


@pytest.fixture
def acme(make_vendor, redis_client, monkeypatch):
    monkeypatch.setattr(step, "STEP", 3)
    have_a_worker(redis_client)
    return make_vendor("acme")


def asked_again():
    """Forget what was read of the vendor and its queue."""
    catalogue.forget()
    recent_holds.__init__()
    holds.backlog.__init__()


def test_failed_jobs_are_retried_behind_those_that_wait(redis_client):
    stream.add("acme", ["waits"], stream.Stream.JOBS)
    ids = make_failed(7)
    make_failed(1, error_code="auth")
    action = start(error_code="timeout", planned=7)
    advance_to_the_end()
    ended = stored(action)
    assert (ended.state, ended.done, ended.skipped, ended.cursor) == ("done", 7, {}, ids[-1])
    assert ended.finished_at
    assert entries(redis_client) == ["waits", *ids]
    assert runs() == [("failed", 1)] + [("queued", 2)] * 7
    moved = Job.objects.filter(bulk=action.pk, bulk__gt="").values_list("stream", "error_code")
    assert set(moved) == {("jobs", "")}
    entry = Entry.objects.get(action="bulk.finished")
    assert (entry.actor, entry.target) == ("EnrichLabs", f"bulk:{action.pk}")
    assert entry.changes["done"] == [0, 7]


def test_open_jobs_are_cancelled_and_those_being_called_are_named(make_job, redis_client):
    jobs = [
        make_job(status=status)
        for status in ("queued", "queued", "waiting", "processing", "complete")
    ]
    stream.add("acme", [jobs[0].pk, jobs[3].pk, jobs[1].pk], stream.Stream.JOBS)
    action = start("cancel", planned=3)
    advance_to_the_end()
    ended = stored(action)
    assert (ended.state, ended.done, ended.skipped) == ("done", 3, {"processing": 1})
    assert [status for status, _ in runs()] == ["cancelled"] * 3 + ["complete", "processing"]
    assert entries(redis_client) == [jobs[3].pk]


class Crash(BaseException):
    """The process ends."""


@contextmanager
def crashing_at(place):
    """Crash at one of the places before and after each thing that a step changes."""
    passed = 0

    def pass_by():
        nonlocal passed
        passed += 1
        if passed == place:
            raise Crash

    def around(real):
        def call(*args, **kwargs):
            pass_by()
            answer = real(*args, **kwargs)
            pass_by()
            return answer

        return call

    changing = (
        (Entry, "save"),
        (bulk_writes, "update_each"),
        (stream, "offer"),
        (QuerySet, "update"),
    )
    patches = [patch.object(it, name, around(getattr(it, name))) for it, name in changing]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


@pytest.mark.parametrize("they_fail_again", [False, True])
def test_a_crash_anywhere_neither_repeats_nor_forgets_a_job(they_fail_again):
    """Whatever became of the retried jobs meanwhile, and whatever the workers' clocks say."""
    crashes = 0
    while crash_and_go_on(crashes + 1, they_fail_again):
        crashes += 1
    assert crashes >= 20


def crash_and_go_on(place, they_fail_again):
    """Retry five jobs in two steps, with a crash at one of the places if there are that many. All
    that were retried by then may have failed again.
    """
    Job.objects.all().delete()
    make_failed(5)
    action, crashed = start(planned=5), False
    try:
        with crashing_at(place):
            advance_to_the_end()
    except Crash:
        crashed = True
    step.courses.clear()
    if they_fail_again:
        Job.objects.filter(status="queued").update(
            status="failed", error_code="timeout", finished_at=LONG_AGO
        )
    advance_to_the_end()
    ended = stored(action)
    assert {run for _, run in runs()} == {2}, place
    assert (ended.state, ended.done, ended.skipped) == ("done", 5, {}), place
    assert ended.finished_at
    ends = Entry.objects.filter(target=f"bulk:{action.pk}", action="bulk.finished")
    assert ends.count() == 1, place
    return crashed


def test_two_leaders_move_each_job_once_and_count_it_once(monkeypatch):
    make_failed(8)
    action = start(planned=8)
    real, depth = operator_actions.retry_each, 0

    def overtaken(jobs, now, **more):  # by another leader, after the jobs were read
        nonlocal depth
        depth += 1
        if depth < 3:
            step.advance()
        depth -= 1
        return real(jobs, now, **more)

    monkeypatch.setattr(operator_actions, "retry_each", overtaken)
    advance_to_the_end()
    ended = stored(action)
    assert (ended.state, ended.done, ended.skipped) == ("done", 8, {})
    assert runs() == [("queued", 2)] * 8


@pytest.mark.parametrize("kind", ["retry", "cancel"])
def test_nothing_is_moved_once_the_action_is_cancelled(kind, monkeypatch):
    """Here another leader has ended it since this one has read it and its jobs."""
    before = {"retry": "failed", "cancel": "queued"}[kind]
    make_failed(2, status=before)
    action, name = start(kind, planned=2), f"{kind}_each"
    real = getattr(operator_actions, name)

    def late(jobs, now, **more):
        actions.cancel(BOB, action)
        step.advance()
        return real(jobs, now, **more)

    monkeypatch.setattr(operator_actions, name, late)
    assert step.advance() == 0
    assert (stored(action).state, stored(action).done) == ("cancelled", 0)
    assert stored(action).finished_at
    assert runs() == [(before, 1)] * 2


def test_jobs_that_moved_on_are_counted_by_what_they_are_now(monkeypatch):
    ids = make_failed(4)
    action = start(planned=4)
    real = operator_actions.retry_each

    def late(jobs, now, **more):
        Job.objects.filter(pk=ids[0]).update(status="complete")
        return real(jobs, now, **more)

    monkeypatch.setattr(operator_actions, "retry_each", late)
    advance_to_the_end()
    assert (stored(action).done, stored(action).skipped) == (3, {"complete": 1})


def test_a_job_that_is_called_meanwhile_is_counted_once(make_job, monkeypatch):
    ids = [make_job(status="queued").pk for _ in range(2)]
    action = start("cancel", planned=2)
    real = operator_actions.cancel_each

    def late(jobs, now, **more):
        Job.objects.filter(pk=ids[0]).update(status="processing")
        return real(jobs, now, **more)

    monkeypatch.setattr(operator_actions, "cancel_each", late)
    advance_to_the_end()
    assert (stored(action).done, stored(action).skipped) == (1, {"processing": 1})


@pytest.mark.parametrize("kind", ["retry", "cancel"])
def test_few_jobs_among_many_are_found_in_several_steps(kind, monkeypatch):
    """Each step searches a bounded number of jobs, however few of them match."""
    monkeypatch.setattr(step, "WINDOW", 2)
    monkeypatch.setattr(step, "COUNTED_AT_ONCE", 3)
    ids = make_failed(9)
    if kind == "cancel":
        Job.objects.update(status="queued")
    Job.objects.filter(pk__in=[ids[4], ids[8]]).update(run=2)
    action = start(kind, reruns=True)
    step.BulkAction.objects.update(planned_is_bound=True)
    done = []
    while step.advance():
        done.append(stored(action).done)
    assert done == [0, 0, 1, 1]
    ended = stored(action)
    assert (ended.state, ended.done, ended.planned, ended.planned_is_bound) == (
        *("done", 2, 2),
        False,
    )


@pytest.mark.parametrize(("repeats", "done"), [(False, 2), (True, 3)])
def test_jobs_whose_outcome_is_unknown_are_retried_only_if_wanted(repeats, done):
    make_failed(2)
    make_failed(1, error_code="outcome_unknown")
    action = start(repeats_unknown=repeats)
    advance_to_the_end()
    skipped = {} if repeats else {"outcome_unknown": 1}
    assert (stored(action).done, stored(action).skipped) == (done, skipped)


def test_jobs_that_end_later_are_left_alone():
    make_failed(2)
    make_failed(1, finished_at=soon())
    action = start()
    advance_to_the_end()
    assert stored(action).done == 2
    assert runs()[0] == ("failed", 1)


def test_an_action_is_paused_and_resumed():
    make_failed(7)
    action = start(planned=7)
    step.advance()
    assert actions.pause(BOB, action)
    assert not actions.pause(BOB, action)
    advance_to_the_end()
    assert (stored(action).state, stored(action).done) == ("paused", 3)
    assert actions.resume(BOB, stored(action))
    advance_to_the_end()
    assert (stored(action).state, stored(action).done) == ("done", 7)
    changes = Entry.objects.filter(action__startswith="bulk.").order_by("pk")
    names = ["bulk.started", "bulk.paused", "bulk.resumed", "bulk.finished"]
    assert list(changes.values_list("action", flat=True)) == names


def test_a_cancelled_action_counts_what_an_interrupted_step_had_done(monkeypatch):
    make_failed(7)
    action = start(planned=7)
    step.advance()
    monkeypatch.setattr(step, "_save", lambda *args, **more: None)
    step.advance()
    monkeypatch.undo()
    actions.cancel(BOB, action)
    assert stored(action).finished_at is None
    advance_to_the_end()
    ended = stored(action)
    assert (ended.state, ended.done) == ("cancelled", 6)
    assert ended.finished_at
    assert runs() == [("failed", 1)] + [("queued", 2)] * 6
    assert not actions.cancel(BOB, action)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"paused": True, "pause_reason": "We moved."}, "Held by a pause of the vendor. We moved."),
        ({"enabled": False}, "acme is disabled. Enable it, and this action goes on."),
        ({"max_queued": 1}, "The queue of acme is nearly full."),
    ],
)
def test_a_vendor_that_takes_no_jobs_holds_the_action(fields, sentence):
    stream.add("acme", ["waits"], stream.Stream.JOBS)
    make_failed(1)
    action = start()
    change(**fields)
    asked_again()
    assert step.advance() == 0
    assert stored(action).held_by.startswith(sentence)
    assert runs() == [("failed", 1)]
    change(paused=False, enabled=True, max_queued=None)
    asked_again()
    advance_to_the_end()
    assert (stored(action).state, stored(action).held_by) == ("done", "")


@pytest.mark.sqlite
def test_a_deleted_vendor_holds_the_action(acme):
    action = start(planned=len(make_failed(1)))
    acme.delete()
    asked_again()
    step.advance()
    assert "The vendor acme no longer exists." in stored(action).held_by


def test_no_more_jobs_queue_than_can_be_called_back(monkeypatch):
    """An action that has queued many waits until the vendor has taken them."""
    monkeypatch.setattr(holds, "MIN_AHEAD", 4)
    monkeypatch.setattr(holds, "SLOW_AFTER_SECONDS", 0)
    ids = make_failed(7)
    action = start(planned=7)
    advance_to_the_end()
    assert stored(action).done == 4
    assert "when acme has taken those that wait in its queue" in stored(action).held_by
    Job.objects.filter(pk__in=ids[:4]).update(status="processing", attempt=1)
    asked_again()
    advance_to_the_end()
    assert (stored(action).state, stored(action).done) == ("done", 7)


def test_a_bulk_action_leaves_room_for_new_jobs(monkeypatch):
    monkeypatch.setattr(step, "STEP", 200)
    change(max_queued=10)
    make_failed(30)
    action = start()
    asked_again()
    advance_to_the_end()
    assert stored(action).done == 9


@pytest.mark.sqlite
def test_the_rate_that_was_asked_for_is_kept(monkeypatch):
    now = 1000.0
    monkeypatch.setattr("jobs.bulk.course.monotonic", lambda: now)
    make_failed(9)
    action = start(per_second=2.0)
    done = []
    for now in (1000.0, 1000.1, 1000.5, 1001.0, 1011.0):  # noqa: B007  # read by the clock
        advance_to_the_end()
        done.append(stored(action).done)
        Job.objects.filter(status="queued").update(status="complete")
    assert done == [1, 1, 2, 3, 5]
    assert stored(action).per_minute == pytest.approx(60 * 3 / 11)  # have been called


@pytest.mark.sqlite
def test_the_second_action_of_a_vendor_waits_for_the_first(make_vendor):
    make_vendor("globex")
    make_failed(4)
    make_failed(4, vendor="globex")
    first, second, other = start(), start(error_code="timeout"), start(vendor="globex")
    step.advance()
    assert [stored(each).done for each in (first, second, other)] == [3, 0, 3]
    assert first.pk in stored(second).held_by
    advance_to_the_end()
    advance_to_the_end()
    assert {stored(each).state for each in (first, second, other)} == {"done"}


def test_counting_goes_on_where_the_plan_has_stopped(monkeypatch):
    monkeypatch.setattr(step, "COUNTED_AT_ONCE", 4)
    make_failed(9)
    action = start(planned=2)
    step.BulkAction.objects.update(planned_is_bound=True)
    planned = []
    while step.advance():
        planned.append((stored(action).planned, stored(action).planned_is_bound))
    assert planned == [(4, True), (8, True), (9, False)]
    assert stored(action).done == 9


@pytest.mark.sqlite
def test_a_faulty_action_delays_no_other(make_vendor, caplog):
    make_vendor("globex")
    make_failed(1)
    faulty = start(vendor="globex")
    step.BulkAction.objects.filter(pk=faulty.pk).update(choice={"status": "nonsense"})
    action = start()
    advance_to_the_end()
    advance_to_the_end()
    assert stored(action).state == "done"
    assert stored(faulty).held_by.startswith("It can't go on: ChoiceError. Cancel it")
    assert caplog.messages.count(f"bulk action {faulty.pk} can't be advanced: ChoiceError") == 1
