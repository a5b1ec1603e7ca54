"""The checks across hosts, on made-up histories."""

from datetime import UTC, datetime, timedelta

import pytest

from chaos import across
from chaos.client import Posted
from chaos.cuts import Cut, Outage
from chaos.history import History, Story
from chaos.journal import Journal
from chaos.ledger import Arrival
from chaos.tests.conftest import JOB
from jobs.models import Attempt, Job

ONE, TWO, API = "10.77.0.9", "10.77.0.10", "http://10.77.0.5:8000"
WORKERS = {ONE: "worker-1", TWO: "worker-2"}
LOST_REDIS = Outage(Cut("worker-1", ("redis",), 12), ONE, 100.0, 112.0)
API_OFF = Outage(Cut("api-1", ("store",), 6), "10.77.0.5", 100.0, 106.0)


def called(*calls, vendor="limited"):
    """Return a history with these calls of one job, each a time and a caller."""
    arrivals = [Arrival(at, vendor, JOB, 1, 1, "ok", None, caller) for at, caller in calls]
    return History(1, [], {JOB: Story(Job(id=JOB), arrivals=arrivals)}, Journal())


def asked(*posted):
    return History(1, list(posted), {}, Journal())


def test_a_job_unknown_to_another_api_host_is_found():
    posted = [
        Posted(1, "quick", 1.0, API, job_id="a", seen="200"),
        Posted(2, "quick", 1.0, API, job_id="b", seen="404"),
    ]
    assert [job for job, _ in across.unknown_elsewhere(asked(*posted))] == ["b"]


@pytest.mark.parametrize(
    ("at", "caller", "is_found"),
    [(100.5, ONE, False), (105.0, ONE, True), (105.0, TWO, False), (113.0, ONE, False)],
)
def test_a_call_without_redis_is_found_unless_it_was_in_flight(at, caller, is_found):
    assert bool(list(across.blind_calls(called((at, caller)), [LOST_REDIS]))) is is_found


def test_a_host_that_never_calls_a_limited_vendor_is_found():
    ((_, words),) = across.idle(called((1.0, ONE)), WORKERS)
    assert words == "worker-2 made no call of limited"
    assert not list(across.idle(called((1.0, ONE), (2.0, TWO)), WORKERS))


def test_recovery_seconds_of_a_worker():
    history = called((99.0, ONE), (112.5, TWO), (113.5, ONE), (120.0, ONE))
    assert across.recovery_seconds(history, across.calls_of(history), LOST_REDIS, WORKERS) == {
        "worker-1": 1.5
    }


def test_recovery_seconds_of_all_workers_after_an_outage_of_the_store():
    history, store_off = (
        called((103.0, ONE)),
        Outage(Cut("store", (), 2), "10.77.0.2", 100.0, 102.0),
    )
    assert across.recovery_seconds(history, across.calls_of(history), store_off, WORKERS) == {
        "worker-1": 1.0,
        "worker-2": None,
    }


@pytest.mark.parametrize(("again_at", "when"), [(None, "never"), (130.0, "18.0 s later")])
def test_a_host_that_is_slow_to_recover_is_found(again_at, when):
    calls = [(99.0, ONE), (113.0, TWO), *([(again_at, ONE)] if again_at else [])]
    ((_, words),) = across.slow_recoveries(called(*calls), [LOST_REDIS], WORKERS)
    assert words == f"after worker-1 without redis, worker-1 worked again {when}"
    assert not list(across.slow_recoveries(called((113.0, ONE)), [LOST_REDIS], WORKERS))


def test_answers_of_an_api_host_without_its_store_are_counted():
    inside = Posted(1, "quick", 101.0, API, 1.7, "503")
    others = [
        Posted(2, "quick", 101.0, "http://10.77.0.6:8000", 4.0, "202"),
        Posted(3, "quick", 107.0, API, 0.1, "202"),
    ]
    assert across.answers([inside, *others], API_OFF) == "1 503; slowest 1.7 s"


def test_an_api_host_has_recovered_when_it_accepts_a_job():
    refused, taken = (
        Posted(1, "quick", 106.1, API, 0.1, "503"),
        Posted(2, "quick", 106.5, API, 0.5, "202", "a"),
    )
    history = asked(refused, taken)
    assert across.recovery_seconds(history, [], API_OFF, WORKERS) == {"api-1": 1.0}


@pytest.mark.parametrize(
    ("outcome", "seconds", "count"),
    [("worker_lost", 64, 1), ("worker_lost", 9, 0), ("done", 64, 0)],
)
def test_an_attempt_missed_until_its_deadline_is_counted(outcome, seconds, count):
    started_at = datetime(2026, 1, 1, tzinfo=UTC)
    attempt = Attempt(
        outcome=outcome, started_at=started_at, ended_at=started_at + timedelta(seconds=seconds)
    )
    history = called()
    history.stories[JOB].attempts.append(attempt)
    assert across.missed(history) == count
