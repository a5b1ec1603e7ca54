"""Gauges of /metrics that the alert rules use: what the console's snapshot of the service says."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from jobs.monitoring.facts import ServiceSnapshot, VendorLine
from jobs.monitoring.rules.vendors import STILL, keys_to_resume, needs_resume, spent_quota

LIVE = ("alive", "draining", "stopping")


def service_gauges(now: ServiceSnapshot) -> Iterator[Metric]:
    """Yield what is known, which is little of Redis while that is away."""
    yield gauge("redis_up", "1 if Redis answers, else 0.", {"": now.redis_answers})
    yield gauge("store_up", "1 if the store answers, else 0.", {"": now.store_answers})
    yield from _store(now)
    if now.redis_answers:
        yield from _redis(now)
        yield from _workers(now)
    yield from _vendors({line.slug: line for line in now.vendors}, now)
    yield _keys(now)


def gauge(name: str, description: str, by_vendor: Mapping[str, float]) -> Metric:
    """Return a gauge by vendor; '' for one without a label."""
    family = GaugeMetricFamily(f"enrichlabs_{name}", description)
    for slug, number in by_vendor.items():
        family.add_sample(family.name, {"vendor": slug} if slug else {}, number)
    return family


def _store(now: ServiceSnapshot) -> Iterator[Metric]:
    if now.store_ms is not None:
        description = "How long the store took to answer a read."
        yield gauge("store_read_seconds", description, {"": now.store_ms / 1000})
    write_ms = now.store_health.write_milliseconds
    if write_ms is not None:
        description = "The slowest write of a worker in the last ten seconds."
        yield gauge("store_write_seconds", description, {"": write_ms / 1000})


def _redis(now: ServiceSnapshot) -> Iterator[Metric]:
    redis = now.redis_health
    yield gauge("redis_used_bytes", "Memory that Redis uses.", {"": redis.used_bytes})
    description = "Redis' maxmemory; 0 if it has none."
    yield gauge("redis_max_bytes", description, {"": redis.max_bytes})


def _workers(now: ServiceSnapshot) -> Iterator[Metric]:
    workers = now.redis.workers
    alive = sum(worker.is_alive for worker in workers)
    yield gauge("workers_alive", "Worker processes with a recent heartbeat.", {"": alive})
    description = "Worker processes without a recent heartbeat that were not stopped."
    yield gauge("workers_silent", description, {"": len(workers) - alive})
    lines = [line for line in now.workers if line.state in LIVE]
    taking = sum(line.state == "alive" for line in lines)
    description = "Live worker processes that are neither drained nor stopping."
    yield gauge("workers_taking", description, {"": taking})
    versions = len({line.version for line in lines if line.version})
    yield gauge("worker_versions", "Versions of the live workers.", {"": versions})
    skew = max((abs(line.clock_ahead_seconds) for line in lines), default=0.0)
    description = "How far the clock of a worker's machine is from Redis', at most."
    yield gauge("clock_skew_seconds", description, {"": skew})


def _vendors(lines: Mapping[str, VendorLine], now: ServiceSnapshot) -> Iterator[Metric]:
    paused = {slug: line.vendor.is_paused(now.redis.now) for slug, line in lines.items()}
    yield gauge("vendor_paused", "1 if the vendor is paused, else 0.", paused)
    description = "1 if an answer has paused the vendor until somebody resumes it, else 0."
    resume = {slug: needs_resume(line) for slug, line in lines.items()}
    yield gauge("vendor_needs_resume", description, resume)
    description = "1 if the vendor is paused, down, or not called by any worker, else 0."
    still = {slug: line.state in STILL for slug, line in lines.items()}
    yield gauge("vendor_still", description, still)
    description = "1 if a quota or a limit by the day is spent and jobs wait for it, else 0."
    spent = {slug: spent_quota(line) is not None for slug, line in lines.items()}
    yield gauge("vendor_quota_spent", description, spent)
    description = "1 if jobs wait for a slot that jobs waiting for their answer have, else 0."
    held = {slug: it for slug in lines if (it := now.redis.vendors.get(slug))}
    no_slot = {slug: it.has_no_slot for slug, it in held.items()}
    yield gauge("vendor_without_slot", description, no_slot)
    waiting = {slug: it.waiting for slug, it in lines.items() if it.waiting is not None}
    yield gauge("vendor_waiting_jobs", "Queued jobs of the vendor.", waiting)
    ages = {slug: it.oldest_seconds for slug, it in lines.items() if it.oldest_seconds is not None}
    yield gauge("vendor_oldest_seconds", "How long the oldest queued job has waited.", ages)
    description = "How long the backlog will take, as far as that can be told."
    backlog = {it.slug: s for it in lines.values() if (s := it.done_in_seconds) is not None}
    yield gauge("vendor_backlog_seconds", description, backlog)


def _keys(now: ServiceSnapshot) -> Metric:
    description = "1 if an answer has paused the key until somebody resumes it, else 0."
    family = GaugeMetricFamily("enrichlabs_key_needs_resume", description)
    rows = (line.vendor.credential for line in now.vendors if line.vendor.credential)
    for slug, credential in sorted({row.slug: row for row in rows}.items()):
        paused = {key.name for key in keys_to_resume(credential)}
        for name in credential.key_names:
            family.add_sample(family.name, {"credential": slug, "key": name}, name in paused)
    return family
