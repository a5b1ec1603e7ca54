"""/metrics: what Redis counts and holds, for Prometheus."""

from collections.abc import Iterator, Mapping

import redis
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from enrichlabs.web.health import client
from enrichlabs.web.read_only import read_only
from jobs.queue import breaker
from jobs.queue.clock import redis_clock
from jobs.queue.heartbeat import live_workers
from jobs.queue.keys import COUNTERS, GROUP, HEARTBEATS, Keys
from vendors.catalogue import catalogue


@read_only
def metrics(request: HttpRequest) -> HttpResponse:
    registry = CollectorRegistry()
    try:
        registry.register(RedisCollector())
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
    except redis.RedisError as error:
        return HttpResponse(
            f"Redis does not answer ({type(error).__name__}).\n",
            status=503,
            content_type="text/plain",
        )


class RedisCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from counters(client().hgetall(COUNTERS))
        known, alive = client().zcard(HEARTBEATS), len(live_workers(client()))
        yield gauge(
            "workers_alive",
            "Workers whose heartbeat was heard within the last seconds.",
            {"": alive},
        )
        yield gauge(
            "workers_silent",
            "Workers that have not, and were not stopped.",
            {"": max(known - alive, 0)},
        )
        vendors, now = sorted(catalogue.all()), redis_clock.now()
        paused = {slug: int(vendor.is_paused(now)) for slug, vendor in catalogue.all().items()}
        yield gauge("vendor_paused", "Whether a vendor is paused.", paused)
        yield from vendor_gauges(vendors)
        yield from breaker_gauges(vendors)
        yield gauge("calls_under_way", "Entries that workers hold.", calls_under_way(vendors))


def vendor_gauges(vendors: list[str]) -> list[Metric]:
    """Return what Redis holds of each vendor, asked in one go."""
    pipeline = client().pipeline(transaction=False)
    for vendor in vendors:
        keys = Keys(vendor)
        pipeline.xlen(keys.jobs).xlen(keys.retries).zcard(keys.in_flight)
    numbers = pipeline.execute()
    return [
        gauge(
            "entries_jobs",
            "Entries of first tries.",
            dict(zip(vendors, numbers[0::3], strict=True)),
        ),
        gauge(
            "entries_retries",
            "Entries of retries, takeovers and hand-backs.",
            dict(zip(vendors, numbers[1::3], strict=True)),
        ),
        gauge(
            "in_flight",
            "Jobs that are processing or waiting.",
            dict(zip(vendors, numbers[2::3], strict=True)),
        ),
    ]


def breaker_gauges(vendors: list[str]) -> list[Metric]:
    """Return which breakers are open, since when, and when each is probed next."""
    pipeline = client().pipeline(transaction=False)
    for vendor in vendors:
        pipeline.hgetall(Keys(vendor).state)
    gates = dict(zip(vendors, pipeline.execute(), strict=True))
    openings = {
        vendor: breaker.read_open(gate, redis_clock.now()) for vendor, gate in gates.items()
    }
    opened = {vendor: opening for vendor, opening in openings.items() if opening}
    since = {
        vendor: opening.since.timestamp() for vendor, opening in opened.items() if opening.since
    }
    probes = {vendor: opening.next_probe.timestamp() for vendor, opening in opened.items()}
    return [
        gauge(
            "breaker_open",
            "Whether a vendor's breaker is open.",
            {vendor: int(vendor in opened) for vendor in vendors},
        ),
        gauge("breaker_opened_timestamp_seconds", "Since when a breaker is open.", since),
        gauge(
            "breaker_probe_timestamp_seconds",
            "When an open breaker lets its next probe through.",
            probes,
        ),
    ]


def calls_under_way(vendors: list[str]) -> dict[str, int]:
    """Return how many entries of each vendor are at workers: called, or being recorded."""
    pipeline = client().pipeline(transaction=False)
    for vendor in vendors:
        keys = Keys(vendor)
        pipeline.xpending(keys.jobs, GROUP).xpending(keys.retries, GROUP)
    # A stream that no worker has looked at has no group yet, and that is an error of this command
    # alone.
    answers = pipeline.execute(raise_on_error=False)
    held = [
        0 if isinstance(answer, redis.ResponseError) else int(answer["pending"])
        for answer in answers
    ]
    return dict(zip(vendors, map(sum, zip(held[0::2], held[1::2], strict=True)), strict=True))


def counters(fields: dict[str, str]) -> list[Metric]:
    """Return one counter a name; a field is called `name`, or `name|vendor`."""
    families: dict[str, Metric] = {}
    for field, count in sorted(fields.items()):
        name, _, vendor = field.partition("|")
        family = families.setdefault(
            name, Metric(f"enrichlabs_{name}", f"{name.replace('_', ' ').capitalize()}.", "counter")
        )
        family.add_sample(
            f"enrichlabs_{name}_total", {"vendor": vendor} if vendor else {}, float(count)
        )
    return list(families.values())


def gauge(name: str, description: str, by_vendor: Mapping[str, float]) -> Metric:
    family = Metric(f"enrichlabs_{name}", description, "gauge")
    for vendor, number in by_vendor.items():
        family.add_sample(family.name, {"vendor": vendor} if vendor else {}, number)
    return family
