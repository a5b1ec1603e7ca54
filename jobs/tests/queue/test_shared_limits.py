"""Several vendors and keys charge the same limits."""

import time
from itertools import count

import pytest

from jobs.models import Stream
from jobs.queue import limiter, stream
from jobs.queue.buckets import buckets_of
from jobs.queue.keys import key_pause, limit_keys
from jobs.queue.redis import commands, script
from jobs.queue.stream import Settlement
from jobs.queue.take import admission, take
from jobs.tests.queue.bucket_model import KEYS, Model
from vendors.catalogue import catalogue

pytestmark = pytest.mark.usefixtures("redis_client")

NUMBERS = count()


@pytest.fixture
def model(redis_client, monkeypatch):
    redis_client.flushdb()
    model = Model()
    monkeypatch.setattr(catalogue, "_vendors", model.vendors)
    return model


def take_from(model, slug, want=10):
    taken = take(model.vendors[slug], "w", want)
    if taken.stale:
        model.rebuild(slug, time.time_ns() // 1000)
        taken = take(model.vendors[slug], "w", want)
    assert not taken.stale
    return taken


def queue(slug, number, polls_of=None):
    jobs = [f"job{next(NUMBERS)}" for _ in range(number)]
    if polls_of is None:
        stream.add(slug, jobs, Stream.JOBS)
    else:
        stream.add_polls(slug, [(job, 1) for job in jobs], credential=polls_of)


def held(model, slug):
    """Return what held.lua says, with the name of the bucket, and for how many seconds."""
    vendor = model.vendors[slug]
    now = limiter.redis_clock.now()
    asked = admission(vendor, now)
    reply = script("limits", "admission", "held")(
        keys=asked.keys, args=[*asked.args(now), 1], client=commands()
    )
    if len(reply) == 1:
        return None
    now_us, kind, name, until_us, *_ = reply
    if kind in ("limit", "quota", "in_flight"):
        name = asked.buckets[int(name) - 1].name
    return kind, name, (until_us - now_us) / 1e6 if until_us else None


def keys_used(taken):
    return [entry.credential for entry in taken.entries]


def test_vendors_share_the_windows_of_a_limit(model):
    model.limit("team", "3/min")
    for slug in ("acme", "beta"):
        model.vendor(slug, limits=["team"])
        queue(slug, 5)
    assert len(take_from(model, "acme").entries) == 2  # the pace allows no more
    commands().hset(limit_keys("team").state, "pace", 0)
    assert len(take_from(model, "beta").entries) == 1
    commands().hset(limit_keys("team").state, "pace", 0)
    taken = take_from(model, "acme")
    assert (taken.entries, 50 < taken.wait_seconds <= 61) == ([], True)
    assert held(model, "acme") == ("limit", "team", pytest.approx(taken.wait_seconds, abs=1))


def test_a_slot_that_one_vendor_frees_wakes_the_other(model):
    model.limit("team", cap=1)
    for slug in ("acme", "beta"):
        model.vendor(slug, limits=["team"])
        queue(slug, 2)
    [entry] = take_from(model, "acme").entries
    full = take_from(model, "beta")
    assert (full.entries, list(full.listen)) == ([], [limit_keys("team").freed])
    assert held(model, "beta") == ("in_flight", "team", None)
    stream.settle("acme", [Settlement(entry.job_id, entry, frees_slot=True)])
    assert commands().xread(full.listen)
    assert len(take_from(model, "beta").entries) == 1


def test_a_job_frees_its_slot_without_its_entry(model):
    """As when its callback arrives: it is not known which key it was called with."""
    model.limit("keyed", cap=1, per_credential=True)
    model.vendor("acme", limits=["keyed"], pooled=True)
    queue("acme", 3)
    entries = take_from(model, "acme").entries
    assert sorted(entry.credential for entry in entries) == list(KEYS)
    stream.settle_final("acme", [entries[0].job_id])
    assert keys_used(take_from(model, "acme")) == [entries[0].credential]


@pytest.mark.parametrize(("weight", "calls"), [(1, 1000), (3, 333), (100, 10)])
def test_a_call_counts_as_many_units_as_it_weighs(model, weight, calls):
    model.limit("team", "1000000/s", quota=5000)
    model.vendor("acme", limits=["team"], weight=weight)
    queue("acme", 1000)
    entries = take_from(model, "acme", 1000).entries
    log = commands().lrange(limit_keys("team").log, 0, -1)
    starts = [int(entry.charge) + unit for entry in entries for unit in range(weight)]
    assert (len(entries), log) == (calls, [str(start) for start in reversed(starts)])
    state = commands().hgetall(limit_keys("team").state)
    assert {v for k, v in state.items() if k.startswith("spent:")} == {str(calls * weight)}


def test_a_call_heavier_than_the_limit_never_starts(model):
    model.limit("team", "2/min")
    model.vendor("acme", limits=["team"], weight=3)
    queue("acme", 1)
    taken = take_from(model, "acme")
    assert (taken.entries, taken.wait_seconds) == ([], 3600)


def test_polls_of_no_weight_take_no_permit(model):
    model.limit("team", "2/min")
    model.vendor("acme", limits=["team"], poll_weight=0)
    queue("acme", 9)
    queue("acme", 9, polls_of="")
    entries = take_from(model, "acme", 9).entries
    polls = [entry for entry in entries if entry.stream == Stream.POLLS]
    assert (len(entries), {poll.charge for poll in polls}) == (9, {""})
    assert commands().llen(limit_keys("team").log) == 2


def test_the_key_with_most_room_is_used(model):
    model.limit("keyed", "5/min", per_credential=True)
    model.vendor("acme", limits=["keyed"], pooled=True)
    queue("acme", 8)
    [first] = take_from(model, "acme", 1).entries
    other = KEYS[1 - KEYS.index(first.credential)]
    for key in KEYS:
        commands().hset(limit_keys("keyed", key).state, "pace", 0)
    assert keys_used(take_from(model, "acme", 4)) == [other] * 2 + [first.credential] * 2


def test_a_key_without_room_or_paused_leaves_the_calls_to_the_others(model):
    model.limit("keyed", quota=2, per_credential=True)
    model.vendor("acme", limits=["keyed"], pooled=True)
    queue("acme", 8)
    limiter.pause_key("pool", KEYS[0], 60)
    assert keys_used(take_from(model, "acme")) == [KEYS[1]] * 2
    spent = take_from(model, "acme")
    assert (spent.entries, 0 < spent.wait_seconds <= 84) == ([], True)  # of two periods at most
    assert held(model, "acme")[:2] == ("quota", f"keyed/{KEYS[1]}")
    commands().delete(key_pause("pool", KEYS[0]))
    assert keys_used(take_from(model, "acme")) == [KEYS[0]] * 2


def test_polls_of_each_key_get_their_turn(model):
    """Although another key has more room for as long as calls wait."""
    model.limit("keyed", "60/min", per_credential=True)
    model.vendor("acme", limits=["keyed"], pooled=True, poll_weight=1, rate_limits="1000/s")
    queue("acme", 50)
    for key in (*KEYS, "KEY_OLD"):
        queue("acme", 1, polls_of=key)
    polled = set()
    for _ in range(8):
        entries = take_from(model, "acme", 1).entries
        polled |= {entry.credential for entry in entries if entry.stream == Stream.POLLS}
        time.sleep(0.001)  # the gap of the vendor's own pace
        for key in KEYS:
            commands().hset(limit_keys("keyed", key).state, "pace", 0)
    assert polled == {*KEYS, "KEY_OLD"}


def test_a_quota_spent_by_an_estimate_is_counted_again(model):
    model.limit("team", quota=2)
    model.vendor("acme", limits=["team"])
    queue("acme", 3)
    assert len(take_from(model, "acme").entries) == 2
    assert not take(model.vendors["acme"], "w", 1).stale
    state = limit_keys("team").state
    commands().hset(state, "estimated", time.time_ns() // 1000 - 5_100_000)
    assert take(model.vendors["acme"], "w", 1).stale
    assert limiter.stale(buckets_of(model.vendors["acme"]).common)[0].limit == "team"


def test_a_restored_definition_is_trusted_again(model):
    model.limit("team")
    model.vendor("acme", limits=["team"])
    old = model.vendors["acme"]
    take_from(model, "acme")
    model.limit("team", "5/s")
    take_from(model, "acme")
    [(bucket, version)] = take(old, "w", 1).outdated
    limiter.forget_version(bucket, version - 1)  # another worker was first
    assert take(old, "w", 1).outdated
    limiter.forget_version(bucket, version)
    assert not take(old, "w", 1).outdated


def test_a_vendor_whose_limit_is_missing_is_not_called(model):
    model.limit("team")
    model.vendor("acme", limits=["team"])
    vendor = model.vendors["acme"]
    queue("acme", 1)
    vendor.name_limits({})
    vars(vendor).pop("_buckets", None)
    taken = take(vendor, "w", 1)
    assert (taken.entries, taken.stale, taken.wait_seconds) == ([], False, 1.0)
