"""The witness, compared with the limiter itself, on a real Valkey that is restarted."""

import random
import time
from contextlib import closing
from itertools import count

import pytest
import redis

from chaos.witness import Witness, worst_window
from harness.limits import restore_own
from harness.ports import free_port
from harness.valkey import Valkey
from harness.waiting import wait_for
from jobs.models import Stream
from jobs.queue import limiter, stream
from jobs.queue.keys import Keys
from jobs.queue.redis import commands
from jobs.queue.take import take
from vendors.models import Vendor

NUMBERS = count()
MILLION = 1_000_000


@pytest.fixture
def witness(valkey, redis_client):
    with closing(Witness(str(valkey.socket))) as witness:
        witness.start()
        wait_for(lambda: witness.is_watching, "the witness to watch")
        yield witness


@pytest.fixture
def own_valkey(tmp_path):
    server = Valkey(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def vendor(redis_client):
    vendor = Vendor(slug=f"seen{next(NUMBERS)}", adapter="sync", rate_limits="10000/s")
    restore_own(vendor.slug, vendor.windows, [], [])
    return vendor


def take_jobs(vendor, number):
    stream.add(vendor.slug, [f"job-{n}" for n in range(number)], Stream.JOBS)
    taken = []
    wait_for(
        lambda: (
            taken.extend(take(vendor, "w", number - len(taken)).entries) or len(taken) == number
        ),
        "the permits",
    )
    return taken


def charges(entries):
    return sorted(int(entry.charge) for entry in entries)


def wait_until_seen(witness, vendor, expected):
    wait_for(
        lambda: witness.starts(vendor.slug) == expected,
        "the witness to see what the limiter did",
        seconds=5,
    )


def charge(client):
    """Charge a call as a script does, on a server of the test's own."""
    now = time.time_ns() // 1000
    client.eval("return redis.call('LPUSH', KEYS[1], ARGV[1])", 1, Keys("acme").log, now)
    return now


def test_the_witness_sees_what_take_charges(witness, vendor):
    entries = take_jobs(vendor, 20)
    wait_until_seen(witness, vendor, charges(entries))
    assert len(set(charges(entries))) == 20


def test_a_charge_refunded_by_settle_is_not_a_start(witness, vendor):
    kept, refused, done = take_jobs(vendor, 3)
    refusal = stream.refused(refused, frees_slot=True)
    stream.settle(vendor.slug, [refusal, stream.Settlement(done.job_id, done, frees_slot=True)])
    wait_until_seen(witness, vendor, charges([kept, done]))


def test_a_renewed_permit_is_one_start(witness, vendor):
    [entry] = take_jobs(vendor, 1)
    renewal = limiter.renew(vendor, entry.job_id, entry.charge)
    assert renewal.charge != entry.charge
    wait_until_seen(witness, vendor, [int(renewal.charge)])


def test_a_rebuild_or_a_command_outside_scripts_is_not_a_start(witness, vendor):
    long_ago = int(time.time() * MILLION) - 500_000
    restore_own(vendor.slug, vendor.windows, [long_ago], [])
    commands().lpush(Keys(vendor.slug).log, long_ago)
    assert commands().llen(Keys(vendor.slug).log) == 2
    wait_until_seen(witness, vendor, charges(take_jobs(vendor, 1)))


def test_starts_before_and_after_a_flush_are_kept(witness, vendor, redis_client):
    before = take_jobs(vendor, 3)
    redis_client.flushall()
    restore_own(vendor.slug, vendor.windows, [], [])
    after = take_jobs(vendor, 3)
    wait_until_seen(witness, vendor, charges(before + after))
    stream.settle(vendor.slug, [stream.refused(entry, frees_slot=True) for entry in before])
    wait_until_seen(witness, vendor, charges(after))


def test_vendors_are_separate(witness, vendor):
    entries = take_jobs(vendor, 2)
    wait_until_seen(witness, vendor, charges(entries))
    assert witness.starts("unknown") == []


def test_the_witness_reconnects_as_soon_as_redis_is_back(own_valkey):
    port = free_port()
    own_valkey.start("--port", str(port))
    with (
        closing(Witness(("127.0.0.1", port))) as witness,
        redis.Redis.from_url(own_valkey.url) as client,
    ):
        witness.start()
        wait_for(lambda: witness.is_watching, "the witness to watch")
        first = charge(client)
        wait_for(lambda: witness.starts("acme") == [first], "the charge to be seen")
        own_valkey.kill()
        wait_for(lambda: not witness.is_watching, "the witness to see nothing")
        own_valkey.start("--port", str(port))
        back_at = time.time()
        wait_for(lambda: witness.is_watching, "the witness to watch again")
        second = charge(client)
        wait_for(lambda: witness.starts("acme") == [first, second], "the charges before and after")
    [_, (since, until)] = witness.blind
    assert first / 1e6 <= since < until < back_at + 1


def test_the_witness_can_start_before_redis(tmp_path):
    with closing(Witness(str(tmp_path / "valkey.sock"))) as witness:
        witness.start()
        [(since, until)] = witness.blind
        assert not witness.is_watching
        assert time.time() - 5 < since <= until


def test_a_window_is_closed_at_both_ends():
    assert worst_window([0, MILLION], 2, 1) == (2, 0)
    assert worst_window([0, MILLION + 1], 2, 1) == (1, 0)
    assert worst_window([], 1, 1) == (0, 0)


def test_the_first_broken_window_is_returned():
    times = [1, 2_000_000, 2_000_001, 2_500_000, 9_000_000, 9_000_000, 9_000_000, 9_000_000]
    assert worst_window(times, 2, 1) == (4, 2_000_000)
    assert worst_window(times, 3, 1) == (4, 9_000_000)
    assert worst_window(times, 4, 1) == (4, 0)


def test_the_worst_window_matches_counting():
    chance = random.Random(7)
    for _ in range(50):
        times = sorted(chance.randrange(20) * 250_000 for _ in range(chance.randrange(1, 40)))
        counted = max(sum(start <= other <= start + MILLION for other in times) for start in times)
        assert worst_window(times, 100, 1) == (counted, 0)
