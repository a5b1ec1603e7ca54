"""The snapshot of the service: the lines of vendors, problems and bulk actions."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs import tallies
from jobs.models import BulkAction
from jobs.monitoring import snapshot
from jobs.monitoring.facts import VendorState
from jobs.monitoring.snapshot import MAX_PROBLEMS
from jobs.queue.take import take
from jobs.recovery.rebuild import rebuild
from jobs.tallies.counts import Counts
from jobs.tallies.memory import memory
from jobs.tests.monitoring import faults
from jobs.tests.monitoring.looking import line, now
from tests.plans import assert_quick, reads_of
from vendors.catalogue import catalogue
from vendors.models import Limit

pytestmark = pytest.mark.django_db


def test_a_snapshot_is_shared_for_a_second(stage, monkeypatch):
    first = snapshot.current()
    assert snapshot.current() is first
    monkeypatch.setattr("jobs.monitoring.snapshot.MAX_AGE_SECONDS", 0)
    assert snapshot.current() is not first


def paused_by_hand(stage):
    stage.limited(paused=True, paused_by="alice", pause_reason="maintenance")


def disabled(stage):
    stage.limited(enabled=False)


def limited(stage):
    take_all(stage, "1/h")


def slowed_down(stage):
    until = timezone.now() + timedelta(minutes=5)
    stage.limited(paused_until=until, pause_reason="The vendor asked us to slow down.")


def take_all(stage, limits):
    vendor = stage.limited(rate_limits=limits)
    stage.queue("a", "b", "c")
    take(vendor, "w1", 1)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("fault", "state", "sentence"),
    [
        (lambda stage: None, VendorState.RUNNING, ""),
        (paused_by_hand, VendorState.PAUSED, "Paused by alice: maintenance"),
        (slowed_down, VendorState.PAUSED, "The vendor asked us to slow down."),
        (faults.vendor_paused, VendorState.PAUSED, "It denied 3 jobs in a row: "),
        (faults.vendor_uncalled, VendorState.NO_WORKER, "VENDOR_ACME_KEY is not set."),
        (faults.no_worker, VendorState.NO_WORKER, "No live worker calls it."),
        (faults.breaker_open, VendorState.DOWN, "Its calls fail (vendor_error): its breaker is op"),
        (disabled, VendorState.DISABLED, "It accepts no new jobs."),
        (limited, VendorState.LIMITED, "Limited by 1/h."),
        (faults.at_cap, VendorState.LIMITED, "All slots for jobs in flight are taken."),
    ],
)
def test_a_vendor_has_a_state_and_a_reason(stage, fault, state, sentence):
    fault(stage)
    found = line()
    assert (found.state, found.sentence[: len(sentence)]) == (state, sentence)
    assert bool(sentence) == bool(found.sentence)


@pytest.mark.sqlite
def test_the_worst_vendor_comes_first_then_by_name(stage):
    for slug in ("zeta", "beta", "alfa"):
        stage.make_vendor(slug)
    stage.vendor = catalogue.get("zeta")
    stage.vendor.paused = True
    stage.vendor.save()
    catalogue.forget()
    assert [each.slug for each in now().vendors] == ["zeta", "acme", "alfa", "beta"]


@pytest.mark.sqlite
def test_windows_are_shown_as_they_are_written(stage):
    Limit.objects.create(slug="shared", definition={"windows": "5/min, 90/day"})
    vendor = stage.limited(rate_limits="10/s, 20/h", definition={"limits": ["shared"]})
    stage.queue(*"abcde")
    take(vendor, "w1", 1)
    shown = [(use.bucket, use.label, use.spent, use.allowed) for use in line().windows]
    assert shown == [
        ("", "10/s", 1, 10),
        ("", "20/h", 1, 20),
        ("shared", "5/min", 1, 5),
        ("shared", "90/day", 1, 90),
    ]
    assert line().tightest.label == "5/min"


@pytest.mark.sqlite
def test_waiting_jobs_include_those_whose_next_attempt_is_not_due(stage, make_job):
    stage.queue("a", "b")
    make_job(not_before=timezone.now() + timedelta(hours=1))
    assert (line().waiting, now().figures.waiting) == (3, 3)


def calls(number, seconds, **counts):
    found = Counts(calls=Counter(found=number), **counts)
    for _ in range(number):
        found.call.add(seconds)
    memory.add("acme", found)
    tallies.flush()


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("limits", "seconds", "done_in", "bound"),
    [
        ({"rate_limits": "1/s, 30/min"}, 0, 200, "its limit 30/min"),
        ({"rate_limits": "600/min"}, 10, 250, "4 threads of the workers"),
        ({"rate_limits": "600/min", "max_in_flight": 2}, 10, 500, "at most 2 in flight"),
        ({}, 0, None, ""),
    ],
)
def test_when_the_backlog_is_done_and_what_binds(stage, limits, seconds, done_in, bound):
    polled = {"definition": {"poll": {"every": "1s"}}} if "max_in_flight" in limits else {}
    stage.limited(**limits, **polled)
    stage.queue(*(f"job-{n}" for n in range(100)))
    if seconds:
        calls(30, seconds)
    found = line()
    assert found.done_in_bound == bound
    assert found.done_in_seconds == (done_in and pytest.approx(done_in, rel=0.25))


@pytest.mark.sqlite
def test_what_was_done_lately_binds_only_if_there_was_always_something_to_do(stage):
    stage.queue(*(f"job-{n}" for n in range(100)))
    calls(30, 0.01, done=30)
    assert line().done_in_bound == "4 threads of the workers"
    for minutes in range(1, 6):
        stage.count(Counts(waiting=50, oldest_seconds=9.0), minutes=minutes)
    assert line().done_in_bound == "the rate of the last five minutes"


@pytest.mark.sqlite
def test_percentiles_and_errors_are_those_of_the_last_minutes(stage):
    calls(20, 0.3, done=18, failed=2)
    stage.count(Counts(done=5, failed=3, calls={"error": 3}), minutes=20)
    found = line()
    assert found.p95_seconds == pytest.approx(0.3, rel=0.22)
    assert (found.samples, found.calls_5min, found.failed_hour) == (20, 20, 5)
    assert (found.sparkline[-1], found.sparkline[-21]) == (18, 5)
    assert now().figures.errors_hour == 3


@pytest.mark.sqlite
def test_only_the_worst_problems_are_shown(stage):
    for number in range(MAX_PROBLEMS + 2):
        stage.make_vendor(f"v{number}", paused=True, pause_reason="It denied 3 jobs in a row.")
    faults.clocks_apart(stage)
    found = now()
    assert {problem.rule for problem in found.problems} == {"vendor_paused"}
    assert (len(found.problems), found.hidden_problems) == (MAX_PROBLEMS, 3)


def test_bulk_actions_under_way_are_read_by_an_index(stage):
    for state in ("running", "paused", "done"):
        fields = {"kind": "retry", "choice": {}, "actor": "alice", "planned": 1, "skipped": {}}
        BulkAction.objects.create(state=state, started_at=timezone.now(), **fields)
    with reads_of("jobs_bulkaction") as reads:
        assert {each.state for each in now().bulk_actions} == {"running", "paused"}
    assert_quick(reads, finds=True)


def test_rebuilt_limits_are_trusted(stage):
    stage.limited(max_in_flight=3)
    rebuild([catalogue.get("acme")])
    assert line().max_in_flight == 3
