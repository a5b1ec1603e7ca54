"""A shared limit counts all of its vendors' calls, whatever Redis has lost and however the limit and
its vendors were changed meanwhile.
"""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.models import UNKNOWN, Attempt, Kind, Status, Stream
from jobs.queue import limiter, stream
from jobs.queue.keys import Keys, limit_keys
from jobs.queue.take import take
from jobs.recovery import in_flight, versions
from jobs.recovery.rebuild import rebuild
from jobs.recovery.rebuild.target import capped_targets
from vendors.catalogue import catalogue
from vendors.models import Credential, Limit, Vendor

pytestmark = [pytest.mark.usefixtures("redis_client"), pytest.mark.django_db]

FIVE = {"windows": "5/min"}
OF_KEYS = {**FIVE, "per": "credential"}
QUOTA = {"quota": {"calls": 3, "period": "month"}}
OLD = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def without_settling(monkeypatch):
    """No permit is in use while a test rebuilds."""
    monkeypatch.setattr("jobs.recovery.rebuild.SETTLING_SECONDS", 0)


@pytest.fixture
def make_limit():
    def make(slug="team", **definition):
        limit = Limit.objects.filter(slug=slug).first() or Limit(slug=slug)
        limit.definition = definition
        limit.save()
        catalogue.forget()
        return limit

    return make


@pytest.fixture
def member(make_vendor):
    """Make a vendor, or change it, so that it names these limits. Returns it as a worker has it."""

    def make(slug, *limits, **definition):
        definition = {"limits": list(limits), **definition}
        if vendor := Vendor.objects.filter(slug=slug).first():
            vendor.definition = definition
            vendor.save()
        else:
            make_vendor(slug, definition=definition)
        catalogue.forget()
        return catalogue.all()[slug]

    return make


def called(vendor, seconds=1, **fields):
    at = datetime.now(UTC) - timedelta(seconds=seconds)
    number = fields.pop("number", 1)
    row = {"job": "job", "worker": "w", "outcome": "found", **fields}
    Attempt.objects.create(vendor=vendor, run=1, number=number, started_at=at, ended_at=at, **row)


def calls(vendor, want=1):
    """Take entries of a vendor, after what a worker does first: rebuild what is stale."""
    stream.add(vendor.slug, [f"job-{number}" for number in range(want)], Stream.JOBS)
    taken = take(vendor, "w", want)
    if taken.stale:
        assert rebuild([vendor])
        taken = take(vendor, "w", want)
    assert not taken.stale
    return taken.entries


def counted(redis_client, name="team", key=""):
    """Return how many units the windows of a limit count."""
    return redis_client.llen(limit_keys(name, key).log)


def test_after_a_flush_a_limit_counts_the_calls_of_all_its_vendors(
    redis_client, make_limit, member, make_job
):
    make_limit(**FIVE)
    a, b = member("a", "team"), member("b", "team", weight=2)
    member("other")
    called("a")
    called("a", 59, units=2, kind=Kind.POLL)
    called("a", 3600)
    called("b", units=0, kind=Kind.POLL)
    called("other")
    called("other", limits=",one,team,")
    make_job(vendor="b", status=Status.PROCESSING, started_at=OLD)
    assert calls(a) == []
    assert counted(redis_client) == 1 + 2 + 1 + 2
    assert calls(b) == [], "rebuilt with the other"


def test_a_call_that_ends_during_the_rebuild_counts_once(
    redis_client, make_limit, member, make_job, monkeypatch
):
    make_limit(**FIVE, **QUOTA)
    a = member("a", "team")
    job = make_job(vendor="a", status=Status.PROCESSING, attempt=2, started_at=OLD)
    called("a", job=job.pk, number=1)

    def settle(_):
        called("a", job=job.pk, number=2)

    monkeypatch.setattr("jobs.recovery.rebuild.time.sleep", settle)
    rebuild([a])
    assert counted(redis_client) == 2
    state = redis_client.hgetall(limit_keys("team").state)
    assert [units for field, units in state.items() if field.startswith("spent:")] == ["2"]
    assert "estimated" not in state


def test_a_vendor_that_joins_brings_its_calls_along(redis_client, make_limit, member, make_job):
    make_limit(**FIVE)
    a, b = member("a", "team"), member("b")
    assert len(calls(a)) == len(calls(b)) == 1
    make_job(vendor="a", status=Status.PROCESSING, started_at=OLD)
    for _ in range(4):
        called("b")
    assert calls(member("b", "team")) == []
    assert counted(redis_client) == 5
    assert calls(a) == []
    assert take(b, "w", 1).outdated, "by the settings from before it joined"


def test_a_vendor_that_left_still_counts_what_it_did_before(
    redis_client, make_limit, member, make_job
):
    make_limit(**FIVE, max_in_flight=9)
    a, b = member("a", "team"), member("b", "team")
    calls(a)
    called("b", limits=",team,")
    make_job(vendor="b", status=Status.PROCESSING, started_at=datetime.now(UTC))
    waiting = make_job(vendor="b", status=Status.WAITING, started_at=OLD, attempt=1)
    called("b", 3600, job=waiting.pk, limits=",team,")
    member("b")
    called("b", limits=",")
    make_job(
        vendor="b", status=Status.PROCESSING, started_at=datetime.now(UTC) + timedelta(minutes=2)
    )
    redis_client.flushall()
    calls(a)
    assert counted(redis_client) == 2 + 1, "the calls from before it left, and one now"
    assert redis_client.zcard(limit_keys("team").in_flight) == 2 + 1


@pytest.mark.parametrize("name", ["renamed", "team"])
def test_a_limit_with_another_name_or_window_counts_what_was_called_under_the_old_one(
    redis_client, make_limit, member, name
):
    make_limit(windows="2/s")
    calls(member("a", "team"))
    for seconds in range(2, 7):
        called("a", seconds, limits=",team,")
    make_limit(name, **FIVE)
    assert calls(member("a", name)) == []
    assert counted(redis_client, name) == 5


def test_lower_limits_hold_at_once_and_higher_ones_count_more(redis_client, make_limit, member):
    make_limit(windows="5/min")
    old = member("a", "team")
    for seconds in range(4):
        called("a", seconds + 1)
    assert len(calls(old)) == 1
    make_limit(windows="3/min")
    assert calls(catalogue.all()["a"]) == []
    assert take(old, "w", 1).outdated
    make_limit(windows="6/min")
    assert counted(redis_client) == 5
