"""/metrics, for Prometheus: gauges of Redis' streams and quotas here; what the console's snapshot
says in service_gauges, and what was counted in tally_metrics.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import redis
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from enrichlabs.web.health import client
from enrichlabs.web.key_metrics import key_gauges
from enrichlabs.web.read_only import read_only
from enrichlabs.web.service_gauges import gauge, service_gauges
from enrichlabs.web.tally_metrics import tally_metrics
from jobs.models import Batch, State
from jobs.monitoring import snapshot
from jobs.monitoring.facts import ServiceSnapshot
from jobs.queue.buckets import Bucket, all_buckets_of
from jobs.queue.clock import redis_clock
from jobs.queue.keys import GROUP, Keys
from jobs.queue.limiter import microseconds
from jobs.queue.snapshot import Snapshot
from jobs.queue.vendor_keys import poll_streams
from jobs.storage.store import STORE_ERRORS, patience
from vendors.models import Vendor

STORE_SECONDS = 2.0  # for what the snapshot has not read


@read_only
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with whatever is known: that Redis or the store is away is one of the metrics."""
    registry = CollectorRegistry()
    registry.register(ServiceCollector(snapshot.current()))
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


class ServiceCollector(Collector):
    def __init__(self, now: ServiceSnapshot) -> None:
        self._now = now

    def describe(self) -> Iterator[Metric]:
        """Name nothing, so that the registry does not collect twice."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        yield from service_gauges(self._now)
        if self._now.redis_answers:
            with suppress(redis.RedisError):  # it has gone away meanwhile
                yield from list(self._of_redis())
        if self._now.store_answers:
            with patience(STORE_SECONDS):
                yield from list(tally_metrics())
                yield unfinished_batches()

    def _of_redis(self) -> Iterator[Metric]:
        vendors = {line.slug: line.vendor for line in self._now.vendors}
        slugs, now = sorted(vendors), redis_clock.now()
        yield from stream_gauges([vendors[slug] for slug in slugs])
        yield from key_gauges(vendors.values(), now)
        yield from breaker_gauges(self._now.redis)
        yield held_gauge(self._now.redis)
        yield from quota_gauges(vendors.values(), now)


def stream_gauges(vendors: Sequence[Vendor]) -> Iterator[Metric]:
    """Return the length of each vendor's streams, their pending entries, and jobs in flight."""
    pipeline, streams = client().pipeline(transaction=False), list(_streams(vendors))
    for _, _, stream in streams:
        pipeline.xlen(stream)
        pipeline.xpending(stream, GROUP)
    for vendor in vendors:
        pipeline.zcard(Keys(vendor.slug).in_flight)
    answers = iter(pipeline.execute(raise_on_error=False))
    lengths, pending = Counter[tuple[str, str]](), Counter[str]()
    for slug, name, _ in streams:
        lengths[slug, name] += _answered(next(answers))
        group = next(answers)
        # A stream that no worker has read has no group yet.
        pending[slug] += 0 if isinstance(group, redis.ResponseError) else int(group["pending"])
    entries = GaugeMetricFamily("enrichlabs_stream_entries", "Entries in the vendor's stream.")
    for (slug, name), length in lengths.items():
        entries.add_sample(entries.name, {"vendor": slug, "stream": name}, length)
    yield entries
    description = "Stream entries that workers hold: called, or being recorded."
    yield gauge("stream_entries_pending", description, pending)
    in_flight = {vendor.slug: _answered(next(answers)) for vendor in vendors}
    yield gauge("jobs_in_flight", "Jobs that are processing or waiting.", in_flight)


def _streams(vendors: Iterable[Vendor]) -> Iterator[tuple[str, str, str]]:
    """Yield the streams of the vendors: slug, name in the metric, and key in Redis. A vendor may
    have several of polls, which are one in the metric.
    """
    for vendor in vendors:
        keys = Keys(vendor.slug)
        yield vendor.slug, "jobs", keys.jobs
        yield vendor.slug, "retries", keys.retries
        for stream in poll_streams(vendor).values():
            yield vendor.slug, "polls", stream


def _answered(answer: Any) -> int:
    """Return the number that Redis answered. Raises its error."""
    if isinstance(answer, redis.RedisError):
        raise answer
    return int(answer)


def breaker_gauges(now: Snapshot) -> Iterator[Metric]:
    """Return which breakers are open, since when, and when each is probed next."""
    breakers = {slug: held.breaker for slug, held in now.vendors.items()}
    # That of a vendor that throttles us is shown as a pause.
    openings = {slug: it for slug, it in breakers.items() if it and not it.is_throttled}
    is_open = {slug: int(slug in openings) for slug in breakers}
    since = {slug: each.since.timestamp() for slug, each in openings.items() if each.since}
    probes = {slug: each.next_probe.timestamp() for slug, each in openings.items()}
    yield gauge("breaker_open", "1 if the vendor's breaker is open, else 0.", is_open)
    yield gauge("breaker_opened_timestamp_seconds", "When the open breaker opened.", since)
    description = "When the open breaker allows its next probe."
    yield gauge("breaker_next_probe_timestamp_seconds", description, probes)


def held_gauge(now: Snapshot) -> Metric:
    """Return what keeps the jobs of each vendor from being called."""
    description = (
        "1 for the kind of what would hold a job of the vendor now, as held_by in the API."
    )
    family = GaugeMetricFamily("enrichlabs_vendor_held", description)
    for slug, held in now.vendors.items():
        if held.hold:
            family.add_sample(family.name, {"vendor": slug, "kind": held.hold.kind.value}, 1)
    return family


def quota_gauges(vendors: Iterable[Vendor], now: datetime) -> Iterator[Metric]:
    """Return how many units each quota has in its current period, and how many are spent."""
    units = GaugeMetricFamily("enrichlabs_quota_units", "Units in a period of the quota.")
    spent = GaugeMetricFamily("enrichlabs_quota_spent_units", "Units spent in the current period.")
    pipeline, all_labels = client().pipeline(transaction=False), []
    for bucket in {bucket.name: bucket for bucket in _buckets(vendors)}.values():
        if bucket.quota:
            all_labels.append({"limit": bucket.limit, "key": bucket.key})
            units.add_sample(units.name, all_labels[-1], bucket.quota.calls)
            _, current, _ = bucket.quota.ranges(now)
            begin, end = map(microseconds, current)
            pipeline.hget(bucket.keys.state, f"spent:{begin}:{end}")
    for labels, count in zip(all_labels, pipeline.execute(), strict=True):
        spent.add_sample(spent.name, labels, int(count or 0))
    yield from (units, spent)


def _buckets(vendors: Iterable[Vendor]) -> Iterator[Bucket]:
    """Return the buckets of all limits that vendors name."""
    for vendor in vendors:
        if vendor.limit_names:
            with suppress(ValueError):  # a limit does not exist or is not valid: none is called
                yield from all_buckets_of(vendor)


def unfinished_batches() -> Metric:
    """Return how many batches are in each state but the last, or none while the store is away."""
    family = GaugeMetricFamily("enrichlabs_batches_unfinished", "Batches that are not finished.")
    # The index of states has all that is asked for, and few batches are unfinished.
    unfinished = Batch.objects.filter(state__in=(State.RECEIVING, State.RUNNING)).order_by()
    try:
        counts = dict(unfinished.values_list("state").annotate(count=Count("*")))
    except STORE_ERRORS:
        return family
    for state in (State.RECEIVING, State.RUNNING):
        family.add_sample(family.name, {"state": state.value}, counts.get(state, 0))
    return family
