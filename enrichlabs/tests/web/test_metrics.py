"""/metrics in Prometheus' text format."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from unittest.mock import patch

import pytest
import redis
from django.db import OperationalError, connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from jobs import tallies
from jobs.models import Batch
from jobs.monitoring import snapshot
from jobs.queue.health import breaker
from jobs.queue.health.breaker import Report
from jobs.queue.keys import GROUP, HEARTBEATS, UNUSABLE, Keys, limit_keys
from jobs.queue.limiter import microseconds
from jobs.recovery import unusable
from jobs.tallies.counts import Counts
from jobs.tallies.memory import memory
from tests.plans import plan_of, reads_of
from vendors import pauses
from vendors.models import Credential, Limit

pytestmark = pytest.mark.django_db

LABELS = ("vendor", "stream", "outcome", "state", "kind", "limit", "credential", "key", "le")
POOL = ["VENDOR_POOL_1", "VENDOR_POOL_2"]


def samples(client: Client) -> dict[tuple[str, ...], float]:
    """Return the numbers by name, vendor and other labels, as a Prometheus server reads them."""
    response = client.get("/metrics")
    assert response.status_code == 200
    families = text_string_to_metric_families(response.content.decode())
    found = {}
    for sample in (sample for family in families for sample in family.samples):
        labels = [sample.labels[name] for name in LABELS if name in sample.labels]
        found[(sample.name.removeprefix("enrichlabs_"), *labels)] = sample.value
    return found


def test_counters_are_shown_with_and_without_a_vendor(
    client: Client, redis_client: redis.Redis
) -> None:
    tallies.count("lost_entries", "acme", 3)
    tallies.count("lost_entries", "other")
    tallies.count("overloaded", by=2)
    tallies.flush()
    shown = samples(client)
    assert shown["lost_entries_total", "acme"] == 3
    assert shown["lost_entries_total", "other"] == 1
    assert shown["overloaded_total",] == 2


def test_attempts_are_one_counter_by_outcome(client: Client, redis_client: redis.Redis) -> None:
    counts = Counts(calls=Counter(found=3, error=1), polls=Counter(pending=2))
    memory.add("acme", counts)
    tallies.flush()
    shown = samples(client)
    assert shown["attempts_total", "acme", "found"] == 3
    assert shown["attempts_total", "acme", "error"] == 1
    assert shown["polls_total", "acme", "pending"] == 2


def test_cost_does_not_fall_when_a_callback_corrects_it(
    client: Client, redis_client: redis.Redis
) -> None:
    tallies.add_cost("acme", 5.0)
    tallies.add_cost("acme", -2.0)
    tallies.flush()
    shown = samples(client)
    assert (shown["cost_total", "acme"], shown["cost_refunded_total", "acme"]) == (5, 2)


@pytest.mark.sqlite
def test_a_store_that_is_away_is_not_asked_for_each_metric(
    client: Client, redis_client: redis.Redis
) -> None:
    def refuse(*args: object) -> None:
        raise OperationalError

    samples(client)
    snapshot.monitor.forget()
    with connection.execute_wrapper(refuse), patch("enrichlabs.web.metrics.tally_metrics") as asked:
        assert samples(client)["store_up",] == 0
    assert not asked.called


def test_durations_are_histograms(client: Client, redis_client: redis.Redis) -> None:
    counts = Counts()
    for seconds in (0.001, 0.3, 0.3, 10**6):
        counts.wait.add(seconds)
    memory.add("acme", counts)
    tallies.flush()
    shown = samples(client)
    buckets = {key[2]: number for key, number in shown.items() if key[0] == "wait_seconds_bucket"}
    assert [buckets[le] for le in ("0.015", "0.1709", "0.3844", "+Inf")] == [1, 1, 3, 4]
    assert shown["wait_seconds_count", "acme"] == 4
    assert shown["wait_seconds_sum", "acme"] == pytest.approx(10**6, rel=0.01)


def test_streams_and_jobs_in_flight_are_shown_per_vendor(
    client: Client, redis_client: redis.Redis, make_vendor: Callable[..., object]
) -> None:
    keys = {"header": "X-Key", "keys_env": ["VENDOR_1", "VENDOR_2"]}
    Credential.objects.create(slug="pool", definition=keys)
    make_vendor("acme", definition={"credential": "pool"})
    make_vendor("other")
    redis_client.xadd(Keys("acme").jobs, {"job": "1"})
    redis_client.xadd(Keys("other").retries, {"job": "2"})
    for key in ("", "VENDOR_2"):
        redis_client.xadd(Keys("acme").polls_of(key), {"job": "3"})
    redis_client.zadd(Keys("other").in_flight, {"3": 1, "4": 2})
    shown = samples(client)
    for stream, lengths in {"jobs": (1, 0), "retries": (0, 1), "polls": (2, 0)}.items():
        found = [shown["stream_entries", slug, stream] for slug in ("acme", "other")]
        assert found == list(lengths)
    assert [shown["jobs_in_flight", slug] for slug in ("acme", "other")] == [0, 2]
    assert shown["workers_alive",] == 0


def test_pending_entries_are_those_that_workers_hold(
    client: Client, redis_client: redis.Redis, make_vendor: Callable[..., object]
) -> None:
    for slug in ("acme", "other"):
        make_vendor(slug)
        redis_client.xadd(Keys(slug).jobs, {"job": "1"})
        redis_client.xadd(Keys(slug).retries, {"job": "2"})
        redis_client.xadd(Keys(slug).polls, {"job": "4"})
    for stream in (Keys("acme").jobs, Keys("acme").retries, Keys("acme").polls):
        redis_client.xgroup_create(stream, GROUP, "0")
        redis_client.xadd(stream, {"job": "3"})
        redis_client.xreadgroup(GROUP, "worker", {stream: ">"}, count=1)
    shown = samples(client)
    assert shown["stream_entries", "acme", "jobs"] == 2
    assert shown["stream_entries_pending", "acme"] == 3
    assert shown["stream_entries_pending", "other"] == 0  # no worker has read its streams yet


def test_an_open_breaker_and_a_pause_are_shown(
    client: Client, redis_client: redis.Redis, make_vendor: Callable[..., object]
) -> None:
    make_vendor("well")
    vendor = make_vendor("acme", max_attempts=2, paused=True)
    began = int(redis_client.time()[0])
    breaker.report(
        vendor, [Report("bad", "", f"job-{n}", started_us=1, code="vendor_error") for n in range(2)]
    )
    shown = samples(client)
    for name in ("breaker_open", "vendor_paused"):
        assert [shown[name, slug] for slug in ("acme", "well")] == [1, 0]
    held = [labels for name, *labels in shown if name == "vendor_held"]
    assert sorted(held) == [["acme", "pause"], ["well", "worker"]]
    since = shown["breaker_opened_timestamp_seconds", "acme"]
    assert began <= since < began + 60
    assert shown["breaker_next_probe_timestamp_seconds", "acme"] == pytest.approx(since + 1)
    assert ("breaker_opened_timestamp_seconds", "well") not in shown


def test_quotas_are_shown_with_what_is_spent(
    client: Client, redis_client: redis.Redis, make_vendor: Callable[..., object]
) -> None:
    limit = Limit.objects.create(
        slug="pdl", definition={"quota": {"calls": 9, "period": "month"}, "per": "credential"}
    )
    Credential.objects.create(slug="pool", definition={"header": "X-Key", "keys_env": POOL})
    definition = {"credential": "pool", "limits": ["pdl"]}
    for slug in ("acme", "other"):
        make_vendor(slug, adapter="http", definition=definition)
    _, (begin, end), _ = limit.rules.quota.ranges(datetime.now(UTC))
    field = f"spent:{microseconds(begin)}:{microseconds(end)}"
    redis_client.hset(limit_keys("pdl", POOL[1]).state, field, 4)
    shown = samples(client)
    assert [shown["quota_units", "pdl", key] for key in POOL] == [9, 9]
    assert [shown["quota_spent_units", "pdl", key] for key in POOL] == [0, 4]


def test_silent_workers_are_counted_apart_from_those_alive(
    client: Client, redis_client: redis.Redis
) -> None:
    seconds, _ = redis_client.time()
    redis_client.zadd(HEARTBEATS, {"well": seconds * 1000, "frozen": (seconds - 100) * 1000})
    shown = samples(client)
    assert (shown["workers_alive",], shown["workers_silent",]) == (1, 1)


def test_without_redis_what_is_known_is_shown(
    client: Client, redis_at: Callable[[str], None], make_vendor: Callable[..., object]
) -> None:
    make_vendor("acme")
    tallies.count("lost_entries", "acme", 3)
    tallies.flush()
    redis_at("redis://127.0.0.1:1")
    shown = samples(client)
    assert (shown["redis_up",], shown["store_up",]) == (0, 1)
    assert shown["lost_entries_total", "acme"] == 3
    assert ("workers_alive",) not in shown, "unknown"


def test_unfinished_batches_are_counted_by_an_index(
    client: Client, redis_client: redis.Redis
) -> None:
    for state in ("receiving", "running", "running", "finished"):
        batch = Batch.new("default")
        batch.state = state
        batch.save(force_insert=True)
    with reads_of("jobs_batch") as reads:
        shown = samples(client)
    found = {labels: count for labels, count in shown.items() if labels[0] == "batches_unfinished"}
    assert {labels[1]: count for labels, count in found.items()} == {"receiving": 1, "running": 2}
    [read] = reads
    assert connection.vendor == "mongodb" or "COVERING INDEX batch_state" in plan_of(read)


def test_keys_are_shown_that_are_paused_or_that_no_worker_has(
    client: Client, redis_client: redis.Redis, make_vendor: Callable[..., object]
) -> None:
    Credential.objects.create(slug="pool", definition={"header": "X-Key", "keys_env": POOL})
    make_vendor("acme", adapter="http", definition={"credential": "pool"})
    pauses.keys.pause("pool", POOL[0], pauses.UNPAID)
    redis_client.zadd(HEARTBEATS, {"worker": redis_client.time()[0] * 1000})
    missing = unusable.report({f"pool/{POOL[1]}": "It is not set."}, None)
    redis_client.hset(UNUSABLE, "worker", missing)
    shown = samples(client)
    assert [shown["key_paused", "pool", key] for key in POOL] == [1, 0]
    assert [shown["key_unused", "pool", key] for key in POOL] == [0, 1]
