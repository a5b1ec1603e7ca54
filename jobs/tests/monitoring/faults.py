"""Staged faults: for each rule, one that it finds, and what its sentence says."""

import time
from contextlib import ExitStack
from datetime import timedelta

from django.db import OperationalError, connection

from jobs import tallies
from jobs.models import BulkAction, Span, Stream, Tally
from jobs.queue.clock import redis_clock
from jobs.queue.health import breaker
from jobs.queue.health.breaker import Report
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.keys import GROUP, HEARTBEATS, Keys
from jobs.queue.redis import hints
from jobs.queue.stream import add
from jobs.queue.take import take
from jobs.queue.workers import WorkerFacts
from jobs.recovery import unusable
from jobs.recovery.rebuild import rebuild
from jobs.tallies.counts import Counts
from jobs.tallies.memory import memory
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Credential

KEYS = ["VENDOR_POOL_1", "VENDOR_POOL_2"]


class Stage:
    """A service that is well, until a fault is staged."""

    def __init__(self, redis_client, make_vendor, settings, until_the_end: ExitStack):
        self.redis = redis_client
        self.make_vendor = make_vendor
        self.settings = settings
        self.until_the_end = until_the_end
        self.vendor = make_vendor("acme", max_attempts=2)
        self.count(Counts(calls={"found": 1000, "error": 10}), hours=3)
        self.heartbeat("w1")

    def heartbeat(self, name, **facts):
        known = {"host": "h1", "version": "1.0", "threads": 4, "clock": time.time(), **facts}
        beat = Heartbeat(name, lambda: WorkerFacts(**known))
        beat.report = known.pop("report", "")
        beat.send()

    def count(self, counts, **ago):
        """Have counts stand in the store, as of a while ago."""
        at = (redis_clock.now() - timedelta(**ago)).replace(second=0, microsecond=0)
        row = Counts.from_json({name: each for name, each in _json(counts).items() if each})
        fields = {"vendor": "acme", "span": Span.PART, "at": at, "process": "p"}
        Tally.objects.create(pk=f"acme|{at:%H%M}|p", counts=row.as_json(), **fields)

    def happens(self, event, vendor="acme", by=1):
        tallies.count(event, vendor, by)
        tallies.flush()

    def queue(self, *ids):
        add("acme", ids, Stream.JOBS, self.redis)

    def limited(self, **fields):
        """Give the vendor limits that can be trusted, and return it."""
        for name, value in fields.items():
            setattr(self.vendor, name, value)
        self.vendor.save()
        catalogue.forget()
        vendor = catalogue.get("acme")
        rebuild([vendor])
        return vendor


def _json(counts):
    found = counts.as_json()
    return found | {"calls": dict(counts.calls), "events": dict(counts.events)}


def redis_away(stage):
    stage.settings.REDIS_URL = "redis://127.0.0.1:1"
    hints.cache_clear()


def store_away(stage):
    def refuse(execute, sql, params, many, context):
        raise OperationalError("unable to open database file")

    stage.until_the_end.enter_context(connection.execute_wrapper(refuse))


def no_worker(stage):
    stage.redis.delete(HEARTBEATS)
    stage.queue("a", "b")


def worker_silent(stage):
    stage.redis.zadd(HEARTBEATS, {"h2-frozen": (stage.redis.time()[0] - 100) * 1000})


def store_slow(stage):
    stage.heartbeat("w1", store_ms=90_000.0)


def redis_memory(stage):
    used = stage.redis.info("memory")["used_memory"]
    stage.redis.config_set("maxmemory", int(used * 1.08))
    stage.until_the_end.callback(stage.redis.config_set, "maxmemory", 0)


def versions_mixed(stage):
    for name, version in (("w1", "1.0"), ("w2", "1.1")):
        stage.heartbeat(name, version=version, started_at=time.time() - 2400)


def clocks_apart(stage):
    stage.heartbeat("w1", clock=time.time() + 60)


def vendor_paused(stage):
    stage.queue("a", "b")
    pauses.pause("acme", pauses.DENIED)


def vendor_uncalled(stage):
    stage.heartbeat("w1", report=unusable.report({"acme": "VENDOR_ACME_KEY is not set."}, None))


def breaker_open(stage):
    reports = [Report("bad", "", f"job-{n}", started_us=1, code="vendor_error") for n in range(2)]
    breaker.report(stage.vendor, reports)


def key_paused(stage):
    Credential.objects.create(slug="pool", definition={"header": "X-Key", "keys_env": KEYS})
    stage.limited(definition={"credential": "pool"})
    pauses.keys.pause("pool", KEYS[0], pauses.UNPAID)


def key_unused(stage):
    Credential.objects.create(slug="pool", definition={"header": "X-Key", "keys_env": KEYS})
    stage.limited(definition={"credential": "pool"})
    missing = {f"pool/{KEYS[1]}": "VENDOR_POOL_2 is not set."}
    stage.heartbeat("w1", report=unusable.report(missing, None))


def quota_spent(stage):
    vendor = stage.limited(rate_limits="1/day")
    stage.queue("a", "b", "c")
    take(vendor, "w1", 1)


def oldest_waiting(stage):
    ms = (stage.redis.time()[0] - 1200) * 1000
    stage.redis.xadd(Keys("acme").jobs, {"v": "1", "job": "a"}, id=f"{ms}-0")
    stage.count(Counts(waiting=1, oldest_seconds=900.0), minutes=5)


def backlog_long(stage):
    stage.limited(rate_limits="1/min")
    stage.queue(*(f"job-{n}" for n in range(100)))


def at_cap(stage):
    vendor = stage.limited(max_in_flight=1)
    stage.queue("a", "b")
    [entry] = take(vendor, "w1", 1).entries
    stage.redis.xack(Keys("acme").jobs, GROUP, entry.id)
    stage.redis.xdel(Keys("acme").jobs, entry.id)
    for minutes in range(1, 6):
        stage.count(Counts(events={"at_cap": 1}), minutes=minutes)


def error_rate(stage):
    memory.add("acme", Counts(calls=_counter(found=20, error=10), call_codes=_counter(timeout=9)))
    tallies.flush()


def _counter(**numbers):
    return type(Counts().calls)(numbers)


def callbacks_overdue(stage):
    stage.happens("callbacks_overdue", by=3)


def callbacks_refused(stage):
    stage.happens("callbacks_refused", by=25)


def callbacks_unreadable(stage):
    stage.happens("callbacks_unreadable")


def queue_full(stage):
    stage.happens("queue_full", by=120)


def overloaded(stage):
    stage.happens("overloaded", "", 7)


def repairs_rising(stage):
    stage.count(Counts(events={"lost_entries": 2}), minutes=14)
    stage.happens("requeued_entries", by=2)


def bulk_action_held(stage):
    BulkAction.objects.create(
        kind="retry",
        choice={},
        actor="alice",
        planned=3,
        started_at=redis_clock.now(),
        skipped={},
        held_by="acme is paused.",
    )


# By the name of the rule: the fault, and what the problem's sentence says.
FAULTS = {
    redis_away: "Redis does not answer.",
    store_away: "The store does not answer.",
    no_worker: "No worker is alive. Start one: manage.py run_worker. 2 jobs wait.",
    worker_silent: "Worker h2-frozen has been silent for 1 min.",
    store_slow: "The store is slow: it took 90.0 s to answer.",
    redis_memory: "of its maxmemory. Raise it",
    versions_mixed: "1 worker still of version 1.",
    clocks_apart: "The clock of h1 is 60 s ahead of that of Redis.",
    vendor_paused: "acme is paused: It denied 3 jobs in a row: check its credentials, then resume "
    "it. 2 jobs wait",
    vendor_uncalled: "No live worker can call acme. VENDOR_ACME_KEY is not set.",
    breaker_open: "acme seems to be down: its calls fail (vendor_error).",
    key_paused: "VENDOR_POOL_1 of the credential pool is paused: It asks for payment",
    key_unused: "No worker can use VENDOR_POOL_2 of the credential pool. VENDOR_POOL_2 is not set.",
    quota_spent: "acme has used up 1/day, for",
    oldest_waiting: "The jobs of acme wait ever longer. 1 job waits, the oldest for 20 min.",
    backlog_long: "acme needs 1 h for the 100 jobs that wait, because of its limit 1/min.",
    at_cap: "acme has been at its cap on jobs in flight for 5 min: 1 job waits for its answer.",
    error_rate: "33% of the calls of acme failed in the last five minutes, mostly timeout",
    callbacks_overdue: "3 jobs of acme got no answer in time",
    callbacks_refused: "25 callbacks of acme were refused",
    callbacks_unreadable: "1 callback of acme could not be read",
    queue_full: "The queue of acme is full: 120 requests refused",
    overloaded: "The API is overloaded: 7 requests refused",
    repairs_rising: "The queue of acme is repaired again and again: 2 times",
    bulk_action_held: "A bulk action of alice does not go on: acme is paused.",
}
