"""/metrics in the text format of Prometheus."""

from collections.abc import Callable

import pytest
import redis
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from jobs.queue import breaker
from jobs.queue.breaker import Report
from jobs.queue.keys import COUNTERS, GROUP, HEARTBEATS, Keys

pytestmark = pytest.mark.django_db


def samples(client: Client) -> dict[tuple[str, str], float]:
    """Return the numbers by name and vendor, as a Prometheus server would read them."""
    response = client.get("/metrics")
    assert response.status_code == 200
    families = text_string_to_metric_families(response.content.decode())
    return {
        (sample.name, sample.labels.get("vendor", "")): sample.value
        for family in families
        for sample in family.samples
    }


def test_counters_are_shown_with_and_without_a_vendor(
    client: Client, redis_client: redis.Redis
) -> None:
    redis_client.hset(
        COUNTERS, mapping={"lost_entries|acme": 3, "lost_entries|other": 1, "takeovers": 2}
    )
    shown = samples(client)
    assert shown["enrichlabs_lost_entries_total", "acme"] == 3
    assert shown["enrichlabs_lost_entries_total", "other"] == 1
    assert shown["enrichlabs_takeovers_total", ""] == 2


def test_what_redis_holds_of_a_vendor_is_shown(
    client: Client, redis_client: redis.Redis, make_vendor: Callable[..., object]
) -> None:
    make_vendor("acme")
    make_vendor("other")
    redis_client.xadd(Keys("acme").jobs, {"job": "1"})
    redis_client.xadd(Keys("other").retries, {"job": "2"})
    redis_client.zadd(Keys("other").in_flight, {"3": 1, "4": 2})
    shown = samples(client)
    expected = {"entries_jobs": (1, 0), "entries_retries": (0, 1), "in_flight": (0, 2)}
    for name, numbers in expected.items():
        assert (
            shown[f"enrichlabs_{name}", "acme"],
            shown[f"enrichlabs_{name}", "other"],
        ) == numbers
    assert shown["enrichlabs_workers_alive", ""] == 0


def test_calls_under_way_are_the_entries_that_workers_hold(
    client: Client, redis_client: redis.Redis, make_vendor: Callable[..., object]
) -> None:
    for vendor in ("acme", "other"):
        make_vendor(vendor)
        redis_client.xadd(Keys(vendor).jobs, {"job": "1"})
        redis_client.xadd(Keys(vendor).retries, {"job": "2"})
    for stream in (Keys("acme").jobs, Keys("acme").retries):
        redis_client.xgroup_create(stream, GROUP, "0")
        redis_client.xadd(stream, {"job": "3"})
        redis_client.xreadgroup(GROUP, "worker", {stream: ">"}, count=1)
    shown = samples(client)
    assert (
        shown["enrichlabs_entries_jobs", "acme"],
        shown["enrichlabs_calls_under_way", "acme"],
    ) == (2, 2)
    assert (
        shown["enrichlabs_calls_under_way", "other"] == 0
    )  # no worker has looked at its streams yet


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
    assert (shown["enrichlabs_breaker_open", "acme"], shown["enrichlabs_breaker_open", "well"]) == (
        1,
        0,
    )
    assert (
        shown["enrichlabs_vendor_paused", "acme"],
        shown["enrichlabs_vendor_paused", "well"],
    ) == (1, 0)
    since = shown["enrichlabs_breaker_opened_timestamp_seconds", "acme"]
    assert began <= since < began + 60
    assert shown["enrichlabs_breaker_probe_timestamp_seconds", "acme"] == pytest.approx(since + 1)
    assert ("enrichlabs_breaker_opened_timestamp_seconds", "well") not in shown


def test_a_silent_worker_is_told_from_one_that_is_alive(
    client: Client, redis_client: redis.Redis
) -> None:
    seconds, _ = redis_client.time()
    redis_client.zadd(HEARTBEATS, {"well": seconds * 1000, "frozen": (seconds - 100) * 1000})
    shown = samples(client)
    assert (shown["enrichlabs_workers_alive", ""], shown["enrichlabs_workers_silent", ""]) == (1, 1)


def test_without_redis_there_are_no_metrics_and_it_says_why(
    client: Client, redis_at: Callable[[str], None]
) -> None:
    redis_at("redis://127.0.0.1:1")
    response = client.get("/metrics")
    assert (response.status_code, response.content) == (
        503,
        b"Redis does not answer (ConnectionError).\n",
    )
