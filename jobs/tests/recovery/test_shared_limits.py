"""A shared limit counts all of its vendors' calls, whatever Redis has lost and however the limit
and its vendors were changed meanwhile.
"""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from jobs.models import UNKNOWN, Attempt, Kind, Status, Stream
from jobs.queue import limiter, stream
from jobs.queue.keys import limit_keys
from jobs.queue.take import take
from jobs.recovery import in_flight, versions
from jobs.recovery.rebuild import rebuild
from jobs.recovery.rebuild.target import capped_targets
from vendors.catalogue import catalogue
from vendors.limits import Quota, Range
from vendors.models import Credential, Limit, Vendor

pytestmark = [pytest.mark.usefixtures("redis_client"), pytest.mark.django_db]

FIVE = {"windows": "5/min"}
OF_KEYS = {**FIVE, "per": "credential"}
QUOTA = {"quota": {"calls": 3, "period": "month"}}
DAY = timedelta(days=1)
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
    """Write the row of a call that has ended."""
    at = fields.pop("at", datetime.now(UTC) - timedelta(seconds=seconds))
    row = {"job": "job", "number": 1, "worker": "w", "outcome": "found", **fields}
    Attempt.objects.create(vendor=vendor, run=1, started_at=at, ended_at=at, **row)


def calls(vendor, want=1):
    """Take entries of a vendor, after what a worker does first: rebuild what is stale. Writes the
    rows of their calls, and returns when they were charged.
    """
    stream.add(vendor.slug, [f"job-{number}" for number in range(want)], Stream.JOBS)
    taken = take(vendor, "w", want)
    if taken.stale:
        assert rebuild([vendor])
        taken = take(vendor, "w", want)
    assert not taken.stale
    assert not taken.outdated
    limits = f",{','.join(vendor.limit_names)}," if vendor.limit_names else ""
    for entry in taken.entries:
        at = limiter.moment(entry.charge) if entry.charge else taken.now
        called(vendor.slug, at=at, limits=limits, units=vendor.weight, credential=entry.credential)
    return [entry.charge for entry in taken.entries]


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

    # Its own `time`: other threads sleep as well.
    monkeypatch.setattr("jobs.recovery.rebuild.time", SimpleNamespace(sleep=settle))
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
    called("b")
    called("b", 2)
    assert calls(member("b", "team")) == []
    assert counted(redis_client) == 5
    assert calls(a) == []
    assert take(b, "w", 1).outdated, "by the settings from before it joined"
    assert not limiter.renew(b, "job", "").granted


def test_no_vendor_goes_on_by_the_settings_from_before_it_joined(redis_client, make_limit, member):
    """Another one is the first to use the limit with both."""
    make_limit(**FIVE)
    a, b = member("a", "team"), member("b")
    calls(b)
    joined = Vendor.objects.get(slug="b")
    joined.definition = {"limits": ["team"]}
    joined.save()
    called("b")
    calls(a)
    assert take(b, "w", 1).outdated
    assert counted(redis_client) == 3


def test_a_vendor_that_left_still_counts_what_it_did_before(
    redis_client, make_limit, member, make_job
):
    make_limit(**FIVE, max_in_flight=9)
    a = member("a", "team")
    member("b", "team")
    called("b", limits=",team,")
    called("b", 2, limits=",")
    make_job(vendor="b", status=Status.PROCESSING, started_at=datetime.now(UTC))
    waiting = make_job(vendor="b", status=Status.WAITING, started_at=OLD, attempt=1)
    called("b", 3600, job=waiting.pk, limits=",team,")
    member("b")
    later = datetime.now(UTC) + timedelta(minutes=2)
    make_job(vendor="b", status=Status.PROCESSING, started_at=later)
    rebuild([a])
    assert counted(redis_client) == 2, "what had ended, and what is in progress"
    assert redis_client.zcard(limit_keys("team").in_flight) == 2


@pytest.mark.parametrize("name", ["renamed", "team"])
def test_a_limit_with_another_name_or_window_counts_what_was_called_under_the_old_one(
    redis_client, make_limit, member, name
):
    make_limit(windows="2/s")
    calls(member("a", "team"))
    for seconds in range(2, 6):
        called("a", seconds, limits=",team,")
    make_limit(name, **FIVE)
    assert calls(member("a", name)) == []
    assert counted(redis_client, name) == 5


def test_limits_that_are_lowered_and_raised_hold_at_once(redis_client, make_limit, member):
    make_limit(windows="5/min")
    old = member("a", "team")
    for seconds in range(1, 4):
        called("a", seconds)
    assert len(calls(old)) == 1
    make_limit(windows="4/min")
    assert calls(catalogue.all()["a"]) == []
    assert take(old, "w", 1).outdated
    called("a", 30)
    called("a", 31)  # those that the log was too short for
    make_limit(windows="6/min")
    assert calls(catalogue.all()["a"]) == []
    assert counted(redis_client) == 6


@pytest.fixture
def pool(member, monkeypatch):
    """A credential with two keys, and the vendor that uses it."""
    keys = ["VENDOR_A_KEY_1", "VENDOR_A_KEY_2"]
    for key in keys:
        monkeypatch.setenv(key, f"secret of {key}")
    Credential.objects.create(slug="a", definition={"header": "X-Api-Key", "keys_env": keys})
    return keys


def test_each_key_counts_its_own_calls_and_those_of_which_it_is_not_known(
    redis_client, make_limit, member, make_job, pool
):
    make_limit(**OF_KEYS, max_in_flight=3)
    one, two = pool
    called("a", credential=one)
    called("a", credential=two)
    called("a", credential="")
    make_job(vendor="a", status=Status.PROCESSING, credential=two, started_at=OLD)
    make_job(vendor="a", status=Status.WAITING, credential=one, started_at=OLD)
    rebuild([member("a", "team", credential="a")])
    assert [counted(redis_client, key=key) for key in pool] == [2, 3]
    slots = [redis_client.zcard(limit_keys("team", key).in_flight) for key in pool]
    assert slots == [1, 1]


def test_a_limit_that_counts_keys_apart_for_a_while_misses_no_call(
    redis_client, make_limit, member, pool
):
    make_limit(**FIVE)
    vendor = member("a", "team", credential="a")
    calls(vendor)
    make_limit(**OF_KEYS)
    apart = catalogue.all()["a"]
    calls(apart)
    assert take(vendor, "w", 1).stale, "what counted them together"
    make_limit(**FIVE)
    calls(catalogue.all()["a"])
    assert counted(redis_client) == 3
    assert take(apart, "w", 1).stale


def spent_of(redis_client):
    state = redis_client.hgetall(limit_keys("team").state)
    return [int(units) for field, units in state.items() if field.startswith("spent:")]


def test_a_quota_counted_while_a_call_was_in_progress_is_counted_again_before_it_holds_back(
    redis_client, make_limit, member, make_job
):
    make_limit(**QUOTA)
    vendor = member("a", "team")
    assert len(calls(vendor)) == 1
    called("a")
    job = make_job(vendor="a", status=Status.PROCESSING, attempt=1, started_at=datetime.now(UTC))
    redis_client.flushall()
    assert calls(vendor) == []
    job.status = Status.QUEUED  # the call was not made
    job.save()
    assert not take(vendor, "w", 1).stale
    assert redis_client.hincrby(limit_keys("team").state, "estimated", -6_000_000) > 0  # long ago
    assert take(vendor, "w", 1).stale
    assert len(calls(vendor)) == 1
    assert calls(vendor) == []
    assert spent_of(redis_client) == [3]


@pytest.mark.parametrize("seconds", [5, 3600])
def test_a_poll_without_an_end_counts_in_a_quota(
    redis_client, make_limit, member, monkeypatch, seconds
):
    """It may be in progress, or its worker died long ago."""
    monkeypatch.setattr(Quota, "ranges", lambda quota, now: [Range(OLD, now + 2 * DAY)])
    make_limit(**QUOTA)
    called("a", seconds, kind=Kind.POLL, outcome=UNKNOWN)
    rebuild([member("a", "team")])
    assert spent_of(redis_client) == [1]
    assert redis_client.hexists(limit_keys("team").state, "estimated") == (seconds == 5)


def test_a_poll_from_before_a_period_counts_if_its_permit_may_be_younger(
    redis_client, make_limit, member, monkeypatch
):
    begin = datetime.now(UTC) - timedelta(seconds=100)
    monkeypatch.setattr(Quota, "ranges", lambda quota, now: [Range(begin, now + 2 * DAY)])
    make_limit(**QUOTA)
    for seconds in (120, 220):
        called("a", seconds, kind=Kind.POLL, outcome=UNKNOWN)
    rebuild([member("a", "team")])
    assert spent_of(redis_client) == [1]


def test_a_quota_for_other_periods_is_counted_anew(redis_client, make_limit, member):
    make_limit(quota={"calls": 2, "period": "day"})
    calls(member("a", "team"))
    make_limit(quota={"calls": 2, "period": "week", "zone": "Asia/Kolkata"})
    assert len(calls(catalogue.all()["a"])) == 1
    assert calls(catalogue.all()["a"]) == []
    make_limit(quota={"calls": 3, "period": "week", "zone": "Asia/Kolkata"})
    assert len(calls(catalogue.all()["a"], 2)) == 1


def test_a_shared_cap_counts_the_jobs_of_all_its_vendors(
    redis_client, make_limit, member, make_job
):
    make_limit(max_in_flight=2)
    a = member("a", "team")
    b = member("b", "team")
    running = make_job(vendor="a", status=Status.PROCESSING, started_at=OLD)
    waiting = make_job(vendor="b", status=Status.WAITING, started_at=OLD)
    assert calls(a) == calls(b) == []
    member("b")  # its job keeps its slot until it ends
    slots = limit_keys("team").in_flight
    redis_client.zadd(slots, {running.pk: 1, waiting.pk: 1, "gone": 1})
    redis_client.zrem(slots, running.pk)
    [target] = capped_targets(catalogue.all())
    assert in_flight.correct_shared(target) == 2
    assert set(redis_client.zrange(slots, 0, -1)) == {running.pk, waiting.pk}


def test_rows_restored_from_a_backup_are_used_although_redis_knows_newer_ones(make_limit, member):
    limit = make_limit(**FIVE)
    vendor = member("a", "team")
    calls(vendor)
    make_limit(windows="9/min")
    calls(catalogue.all()["a"])
    refused = take(vendor, "w", 1)
    versions.read_again([refused])
    assert take(vendor, "w", 1).outdated, "the rows are newer"
    Limit.objects.update(definition=limit.definition, version=vendor.limits[0].version)
    versions.read_again([take(vendor, "w", 1)])
    assert not take(catalogue.all()["a"], "w", 1).outdated
