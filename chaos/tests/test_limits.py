"""What the campaign knows about shared limits: which were in force, and what they counted."""

from datetime import UTC, datetime, timedelta

import pytest

from chaos.faults.limits import scaled
from chaos.history import History, Story
from chaos.journal import Edit, Journal, Trouble
from chaos.ledger import Arrival, Poll
from chaos.limits import checks, in_flight, witnessed
from chaos.limits.buckets import counted, units_us
from chaos.limits.definitions import LIMITS, PERIOD_SECONDS, POOL, SPARE
from chaos.limits.rules import rules_of
from chaos.tests.conftest import JOB
from chaos.witness import above
from jobs.models import Attempt, Job

MILLION = 1_000_000
FIRST, SECOND = POOL


def called(at, vendor="posted", key=FIRST, mood="ok"):
    return Arrival(at, vendor, JOB, 1, 1, mood, None, "", key)


def history_of(*arrivals, vendor="posted", polls=(), keys=(), edits=(), troubles=()):
    attempts = [Attempt(job=JOB, run=1, number=n, credential=key) for n, key in enumerate(keys, 1)]
    story = Story(Job(id=JOB, vendor=vendor), attempts, arrivals=list(arrivals), polls=list(polls))
    return History(1, [], {JOB: story}, Journal(edits=list(edits), troubles=list(troubles)))


def changed(at, calls, limit="team"):
    return Edit(at, at + 1, "windows", limit, f"{calls}/s, 140/10s")


@pytest.mark.parametrize(
    ("at", "calls"), [(99, 26), (101, 26), (103, 26), (105, 10), (199, 10), (201, 30), (300, 30)]
)
def test_the_looser_limit_is_allowed_until_every_worker_knows_the_stricter(at, calls):
    rules = rules_of(Journal(edits=[changed(100, 10), changed(200, 30)]), "team")
    assert rules.calls(1, at) == calls


def test_a_worker_that_can_not_read_knows_a_change_later():
    frozen = Trouble("worker_frozen", "workers", 99, 110)
    rules = rules_of(Journal(edits=[changed(100, 10)], troubles=[frozen]), "team")
    assert [rules.calls(1, at) for at in (112, 114)] == [26, 10]


def test_a_vendor_counts_while_it_surely_names_the_limit():
    edits = [
        Edit(at, at + 1, "membership in team", "confirmed", is_member)
        for at, is_member in ((100, True), (200, False))
    ]
    rules = rules_of(Journal(edits=edits), "team")
    counts = [rules.surely_counts("confirmed", at) for at in (99, 102, 105, 199, 201, 300)]
    assert counts == [False, False, True, True, False, False]


def test_calls_count_by_bucket_in_their_units():
    calls = [called(100.0), called(100.5, key=SECOND)]
    windows = {window.name: window for window in counted(history_of(*calls))}
    assert units_us(windows[f"1 s of key for {FIRST} (limit 18)"].reached) == [
        *(100 * MILLION, 100 * MILLION + 1)
    ]
    assert len(units_us(windows["1 s of team (limit 26)"].reached)) == 4
    assert len(units_us(windows["1 s of posted (limit 14)"].reached)) == 4
    assert not windows["1 s of crew (limit 10)"].reached


def test_a_poll_without_weight_counts_nowhere():
    poll = Poll(101.0, "thin", JOB, 1, 1, "ok", "", FIRST)
    history = history_of(called(100.0, "thin"), vendor="thin", polls=[poll])
    windows = {window.name: window for window in counted(history)}
    assert len(windows["1 s of team (limit 26)"].reached) == 1


def test_a_window_is_judged_by_the_limit_when_it_ends():
    times = [0, 1, 2, MILLION]
    assert above(times, 1, lambda at: 3) == (4, 3, MILLION)
    assert above(times, 1, lambda at: 3 if at < 1 else 4) is None
    assert above(times, 1, lambda at: 1 if at < 1 else 4) == (2, 1, 1)


@pytest.mark.parametrize(
    ("keys", "is_wrong"), [([FIRST], False), ([SECOND], True), ([SECOND, FIRST], False)]
)
def test_a_call_has_the_key_of_an_attempt(keys, is_wrong):
    assert bool(list(checks.wrong_keys(history_of(called(100.0), keys=keys)))) == is_wrong


@pytest.mark.parametrize(("key", "is_wrong"), [(FIRST, False), (SECOND, True)])
def test_a_poll_has_the_key_of_its_call(key, is_wrong):
    poll = Poll(101.0, "posted", JOB, 1, 1, "ok", "", key)
    history = history_of(called(100.0), polls=[poll], keys=[FIRST])
    assert bool(list(checks.wrong_keys(history))) == is_wrong


@pytest.mark.parametrize(("at", "is_wrong"), [(101, False), (105, True), (150, False)])
def test_a_retired_key_is_not_used(at, is_wrong):
    edits = [
        Edit(when, when + 1, "pool", "chaos", pool)
        for when, pool in ((100, (SECOND, SPARE)), (120, POOL))
    ]
    assert bool(list(checks.unusable_keys(history_of(called(at), edits=edits)))) == is_wrong


@pytest.mark.parametrize(("at", "is_wrong"), [(102, False), (105, True), (111, False)])
def test_a_key_without_credits_is_not_used_once_that_is_known(at, is_wrong):
    outage = Edit(100, 110, "unpaid", FIRST, 10)
    calls = [called(100.5, mood="unpaid"), called(at, mood="unpaid")]
    assert bool(list(checks.unusable_keys(history_of(*calls, edits=[outage])))) == is_wrong


class Seen:
    """A witness that saw these starts."""

    def __init__(self, of_limits=None, of_vendors=None):
        self.starts_of_limit = lambda limit, key="": (of_limits or {}).get(limit, [])
        self.starts = lambda vendor: (of_vendors or {}).get(vendor, [])


def test_the_calls_of_a_period_are_counted():
    begin = 100 * PERIOD_SECONDS
    starts = [int(at * MILLION) for at in (begin - 1, begin + 1, begin + 1.5)]
    [(name, at_limiter, at_vendor, calls)] = witnessed.quotas(
        history_of(called(begin + 1, "lookup", ""), vendor="lookup"), Seen({"plan": starts})
    )
    assert (name, at_limiter, at_vendor) == ("plan", 3, 1)
    assert calls == LIMITS["plan"]["quota"]["calls"]


@pytest.mark.parametrize("is_counted", [True, False])
def test_the_earlier_calls_of_a_vendor_that_joins_must_count(is_counted):
    second = 100 * MILLION
    before = [second + n for n in range(4)]  # of a vendor that joins after them
    allowed = 6 if is_counted else 7
    after = [second + 500_000 + n for n in range(allowed)]
    seen = Seen({"crew": after}, {"thin": [*before, *after]})
    edits = [Edit(90, 91, "membership in crew", "thin", True)]
    found = list(witnessed.uncounted(history_of(edits=edits), seen))
    assert bool(found) != is_counted


def test_windows_are_scaled():
    assert scaled("18/s, 900/min", 0.5) == "9/s, 450/min"


@pytest.mark.parametrize(("count", "is_above"), [(10, False), (11, True)])
def test_jobs_in_flight_at_once_are_counted(count, is_above):
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    times = [(begin + timedelta(seconds=n), begin + timedelta(seconds=20)) for n in range(count)]
    times += [(begin + timedelta(seconds=20), begin + timedelta(seconds=30))]  # after the others
    stories = {
        str(n): Story(
            Job(id=str(n), vendor="lookup"),
            [Attempt(run=1, number=1, outcome="found", started_at=started_at, ended_at=ended_at)],
        )
        for n, (started_at, ended_at) in enumerate(times)
    }
    history = History(1, [], stories, Journal())
    assert in_flight.most(history)["lookup"] == count
    assert bool(list(in_flight.above_cap(history))) == is_above
