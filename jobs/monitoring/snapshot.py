"""The snapshot of the service: at most a second old, one for all threads of a process."""

import logging
import time
from dataclasses import replace
from datetime import datetime
from threading import Lock

from django.db import close_old_connections, connection
from django.utils import timezone

from jobs.bulk import running
from jobs.models import BulkAction
from jobs.monitoring import backlog, health, vendors, workers
from jobs.monitoring.facts import Figures, Problem, ServiceSnapshot, Severity, VendorLine
from jobs.monitoring.history import History, VendorHistory
from jobs.monitoring.rules import RULES, Rule
from jobs.queue.snapshot import Snapshot, take_snapshot
from jobs.storage.store import STORE_ERRORS, patience
from vendors.catalogue import catalogue
from vendors.models import Vendor

log = logging.getLogger(__name__)

MAX_AGE_SECONDS = 1.0
STORE_SECONDS = 0.8  # for all that a snapshot reads
SIZE_SECONDS = 0.2
MAX_PROBLEMS = 8


class Monitor:
    """Takes snapshots for the threads of a process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._snapshot: ServiceSnapshot | None = None
        self._vendors: list[Vendor] = []  # as last read, for when the store is away
        self._histories: dict[str, VendorHistory] = {}
        self._has_read = False  # the store, at least once
        self._away_since: dict[str, datetime] = {}
        self._history = History()
        self._delayed = backlog.Delayed()
        self._size = health.StoreSize()
        self._bulk_actions: list[BulkAction] = []
        self._taken_at = float("-inf")

    def current(self) -> ServiceSnapshot:
        """Return a snapshot that is at most a second old. It comes within two seconds whatever is
        away, with the last known values of what the store does not tell.
        """
        with self._lock:  # who waits for another thread's snapshot gets that one
            if self._snapshot is None or time.monotonic() - self._taken_at > MAX_AGE_SECONDS:
                self._snapshot = self._take()
                self._taken_at = time.monotonic()
            return self._snapshot

    def forget(self) -> None:
        """Have the next call take a new one."""
        self._taken_at = float("-inf")

    def _take(self) -> ServiceSnapshot:
        store_ms = self._read_vendors()
        redis = take_snapshot(self._vendors)
        sources = vendors.Sources(redis)
        if store_ms is not None:
            store_ms = self._read_store(sources, store_ms)
        sources.histories = self._histories
        lines = vendors.lines(self._vendors, sources)
        worker_lines = workers.lines(redis)
        with patience(SIZE_SECONDS):
            size = self._size.read() if store_ms is not None else None
        snapshot = ServiceSnapshot(
            taken_at=timezone.now(),
            redis=redis,
            redis_answers=redis.redis_answers,
            store_answers=store_ms is not None,
            store_ms=store_ms,
            redis_away_since=self._since("redis", redis.redis_answers),
            store_away_since=self._since("store", store_ms is not None),
            figures=self._figures(lines, redis, len(worker_lines)),
            vendors=lines,
            workers=worker_lines,
            redis_health=health.redis_health(redis.redis_answers),
            store_health=health.store_health(store_ms, size, worker_lines),
            bulk_actions=self._bulk_actions,
            histories=self._histories,
        )
        return _with_problems(snapshot)

    def _since(self, what: str, answers: bool) -> datetime | None:
        """Return since when Redis or the store has been away, as far as this process knows."""
        if answers:
            self._away_since.pop(what, None)
            return None
        return self._away_since.setdefault(what, timezone.now())

    def _read_vendors(self) -> float | None:
        """Read the vendors. Returns how many milliseconds the store took; None if it is away."""
        asked_at = time.monotonic()
        try:
            with patience(STORE_SECONDS):
                catalogue.forget()  # so that it asks the store, whose time counts
                self._vendors = list(catalogue.all().values())
        except STORE_ERRORS:
            _close_broken()
            return None
        return (time.monotonic() - asked_at) * 1000

    def _read_store(self, sources: vendors.Sources, store_ms: float) -> float | None:
        """Read everything else. Returns `store_ms`, or None if the store has gone away."""
        redis = sources.redis
        try:
            with patience(STORE_SECONDS):
                sources.delayed = self._delayed.by_vendor()
                if not redis.redis_answers:
                    slugs = [vendor.slug for vendor in self._vendors]
                    sources.rows = backlog.from_rows(slugs, redis.now)
                self._bulk_actions = running()
                self._read_histories(redis.now)
        except STORE_ERRORS:
            _close_broken()
            return None
        return store_ms

    def _read_histories(self, now: datetime) -> None:
        """A history that takes too long does not mean that the store is away. Then those known last
        stay, and the next snapshot reads on.
        """
        try:
            self._histories = self._history.by_vendor(now)
            self._has_read = True
        except STORE_ERRORS as error:
            log.debug("the history is read later: %s", type(error).__name__)

    def _figures(self, lines: list[VendorLine], redis: Snapshot, workers_seen: int) -> Figures:
        known = [line for line in lines if line.waiting is not None]
        histories = self._histories.values()
        calls = sum(each.calls_hour for each in histories)
        errors = sum(each.errors_hour for each in histories)
        alive = sum(worker.is_alive for worker in redis.workers)
        figures = Figures(
            workers_alive=alive if redis.redis_answers else None,
            workers_seen=workers_seen if redis.redis_answers else None,
        )
        if self._has_read:
            figures = replace(
                figures,
                done_per_minute=sum(line.done_per_minute for line in lines),
                errors_hour=errors,
                errors_hour_share=errors / calls if calls else 0.0,
            )
        if known or (self._has_read and not lines):
            figures = replace(
                figures,
                waiting=sum(line.waiting or 0 for line in known),
                in_flight=sum(line.in_flight or 0 for line in known),
                oldest_seconds=max((line.oldest_seconds or 0.0 for line in known), default=0.0),
            )
        return figures


def _close_broken() -> None:
    """Have the next read connect anew. Not within a transaction of whoever looks."""
    if not connection.in_atomic_block:
        close_old_connections()


def _with_problems(snapshot: ServiceSnapshot) -> ServiceSnapshot:
    found = [problem for rule in RULES for problem in _found_by(rule, snapshot)]
    found.sort(key=_badness)
    hidden = len(found[MAX_PROBLEMS:])
    return replace(snapshot, problems=found[:MAX_PROBLEMS], hidden_problems=hidden)


def _found_by(rule: Rule, snapshot: ServiceSnapshot) -> list[Problem]:
    """Return the problems that a rule finds. One with a fault must not take the page with it."""
    try:
        return list(rule.find(snapshot))
    except Exception:
        log.exception("the rule %s failed", rule.name)
        return []


def _badness(problem: Problem) -> tuple[bool, int]:
    """Sort critical ones first. Within, the rules are in the order of how much they explain."""
    order = [rule.name for rule in RULES]
    return problem.severity != Severity.CRITICAL, order.index(problem.rule)


monitor = Monitor()
current = monitor.current
