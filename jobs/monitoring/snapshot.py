"""The snapshot of the service: at most a second old, one for all threads of a process."""

import time
from threading import Lock

from django.utils import timezone

from jobs.monitoring.facts import (
    Figures,
    RedisHealth,
    ServiceSnapshot,
    StoreHealth,
    VendorLine,
    VendorState,
    WorkerLine,
)
from jobs.queue.snapshot import Snapshot, take_snapshot
from jobs.storage.store import STORE_ERRORS, patience
from vendors.catalogue import catalogue
from vendors.models import Vendor

MAX_AGE_SECONDS = 1.0
STORE_SECONDS = 1.0  # for all that a snapshot reads
NEVER = float("-inf")


class Monitor:
    """Takes snapshots for the threads of a process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._snapshot: ServiceSnapshot | None = None
        self._taken_at = NEVER

    def current(self) -> ServiceSnapshot:
        with self._lock:  # who waits for another thread's snapshot gets that one
            if self._snapshot is None or time.monotonic() - self._taken_at > MAX_AGE_SECONDS:
                self._snapshot = _take()
                self._taken_at = time.monotonic()
            return self._snapshot

    def forget(self) -> None:
        """Have the next call take a new one."""
        self._taken_at = NEVER


def _take() -> ServiceSnapshot:
    asked_at = time.monotonic()
    vendors: list[Vendor] = []
    store_ms = None
    try:
        with patience(STORE_SECONDS):
            vendors = list(catalogue.all().values())
            store_ms = (time.monotonic() - asked_at) * 1000
    except STORE_ERRORS:
        pass
    redis = take_snapshot(vendors)
    lines = [_line(vendor, redis) for vendor in vendors]
    order = list(VendorState)
    lines.sort(key=lambda line: (order.index(line.state), line.slug))
    workers = [
        WorkerLine(
            each.name,
            host=each.name.rsplit("-", 2)[0],
            silent_seconds=each.silent_seconds,
            state="alive" if each.is_alive else "silent",
        )
        for each in redis.workers
    ]
    return ServiceSnapshot(
        timezone.now(),
        redis,
        redis.redis_answers,
        store_ms is not None,
        store_ms,
        Figures(
            waiting=sum(line.waiting or 0 for line in lines),
            in_flight=sum(line.in_flight or 0 for line in lines),
            workers_alive=sum(each.is_alive for each in redis.workers),
            workers_seen=len(redis.workers),
        ),
        lines,
        workers,
        RedisHealth(redis.redis_answers),
        StoreHealth(store_ms is not None, milliseconds=store_ms),
    )


def _line(vendor: Vendor, redis: Snapshot) -> VendorLine:
    held = redis.vendors.get(vendor.slug)
    state = VendorState.RUNNING
    if vendor.is_paused(redis.now):
        state = VendorState.PAUSED
    elif held and held.breaker:
        state = VendorState.PROBING if held.breaker.is_probing else VendorState.DOWN
    elif not vendor.enabled:
        state = VendorState.DISABLED
    return VendorLine(
        vendor,
        vendor.slug,
        state,
        "",
        waiting=held.queued if held else None,
        in_flight=held.in_flight if held else None,
        max_in_flight=vendor.max_in_flight,
        calling=held.calling if held else None,
    )


monitor = Monitor()
current = monitor.current
