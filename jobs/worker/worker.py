"""A worker process: takes jobs, claims them, executes them, records the answers and settles.

The main thread runs rounds: each takes and claims what may start, and sleeps until there is more.
The threads of the pool execute. One more thread records and settles.
"""

import logging
import os
import secrets
import socket
import time
from threading import Event

import redis
from django.db import close_old_connections

from jobs import tallies
from jobs.models import OPEN, Job
from jobs.monitoring.versions import note_version
from jobs.queue.buckets import buckets_of
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.redis import commands
from jobs.queue.redis_errors import refusal, require_usable
from jobs.recovery import pending, takeover, unusable
from jobs.recovery.sweep import Sweeper
from jobs.storage.errors import explain
from jobs.storage.store import STORE_ERRORS
from jobs.worker.apply_callbacks import apply_callbacks
from jobs.worker.claim import claim
from jobs.worker.execute import execute
from jobs.worker.execution import Execution
from jobs.worker.held_entries import HeldEntries
from jobs.worker.record import Recorder
from jobs.worker.schedule import Schedule
from jobs.worker.settle import settle
from jobs.worker.status import WorkerStatus
from jobs.worker.taker import Taker
from jobs.worker.threads.collector import Collector
from jobs.worker.threads.listener import Listener
from jobs.worker.threads.pool import Pool
from vendors.catalogue import catalogue
from vendors.models import Vendor

log = logging.getLogger(__name__)

MAX_SLEEP_SECONDS = 0.4  # so that changed settings are in force within a second
OUTAGE_RETRY_SECONDS = 0.5  # between rounds while Redis or the store is away
MIN_REST_SECONDS = 0.005  # between two rounds that start jobs
MAX_REST_SECONDS = 0.01
MAX_REST_UNPACED_SECONDS = 0.05
MAX_WAIT_SECONDS = 1.0  # for how long a claimed job waits for a thread
BEHIND_SECONDS = 0.05  # between rounds while answers come faster than they are recorded
FINISH_SECONDS = 10.0  # for recording the last answers
AWAY = "worker %s: %s does not answer; jobs wait until it does. %s"
REFUSES = "worker %s: %s can't be used; jobs wait. %s"


class Worker:
    """Works until it is stopped or, with `drain`, until no job is left."""

    def __init__(
        self,
        *,
        threads: int,
        vendors: list[str] | None = None,
        drain: bool = False,
        grace_seconds: float = 20,
    ) -> None:
        self.name = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._chosen = vendors  # slugs; None: all
        self._drain = drain
        self._grace_seconds = grace_seconds
        self._away = ""  # what does not answer
        self._has_started = False  # any job in the last round
        self._round_seconds = 0.0
        self._is_paced = False
        self._vendors: dict[str, Vendor] = {}
        self._wake = Event()
        self._schedule = Schedule()
        self._pool: Pool[Execution] = Pool(threads, self._execute, self._wake.set)
        self._recorder = Recorder()
        self._status = WorkerStatus(self.name, threads, self._pool, self._recorder, vendors or ())
        self._heartbeat = Heartbeat(self.name, self._status.facts, self._status.obey)
        self._heartbeat.report = unusable.NOT_KNOWN_YET
        self._held = HeldEntries(self.name, self._heartbeat)
        self._taker = Taker(self.name, self._schedule, self._held, self._pool)
        self._executed: Collector[Execution] = Collector(self._record_and_settle)
        self._listener = Listener(self.name, self._hear)
        self._sweeper = Sweeper(self.name)

    # The path of a job: take, claim, execute, record, settle. An Execution carries it.

    def _take_and_claim(self) -> None:
        if taken := self._taker.take():
            self._has_started = True
            executions = claim(taken, self.name, self._held)
            self._pool.put((execution.vendor.slug, execution) for execution in executions)

    def _execute(self, execution: Execution) -> None:
        execute(execution)
        self._executed.put(execution)

    def _record_and_settle(self, executions: list[Execution]) -> None:
        self._recorder.record(executions)
        settle(executions, self._held)
        apply_callbacks(executions)

    def run(self) -> None:
        """Work. Returns when it was stopped or has drained, and holds nothing any more."""
        log.info("worker %s starts, for %s", self.name, ", ".join(self._chosen or ["all vendors"]))
        self._heartbeat.try_send()  # sets our clock by that of Redis before anything uses it
        note_version()
        for thread in (self._heartbeat, self._executed, self._listener, self._sweeper):
            thread.start()
        while not self.is_stopping:
            self._wake.clear()
            self._try_round()
            self._sleep()
        self._finish()

    def stop(self) -> None:
        """Take nothing more, and end after the calls under way, or after the grace period."""
        self._status.is_stopping = True

    @property
    def is_stopping(self) -> bool:
        return self._status.is_stopping

    def _try_round(self) -> None:
        began_at = time.monotonic()
        try:
            self._round()
        except redis.RedisError as error:
            self._note_outage("Redis", error)
            self._held.expect_unknown_entries()
        except STORE_ERRORS as error:
            self._note_outage("the store", error)
            close_old_connections()
        else:
            if self._away:
                log.info("worker %s: %s is back", self.name, self._away)
            self._away = ""
        self._round_seconds = time.monotonic() - began_at

    def _round(self) -> None:
        self._require_redis()
        self._serve_vendors()
        self._held.reconcile(list(self._vendors))
        self._has_started = False
        self._taker.is_drained = self._status.is_drained
        if not self._is_behind:
            self._take_and_claim()
        # If a quick vendor stops answering, its jobs should not wait here.
        self._release_waiting(MAX_WAIT_SECONDS)
        self._listener.watch(self._schedule.ends())
        if self._drain and self._is_drained():
            self.stop()

    def _require_redis(self) -> None:
        """Raise what Redis refuses: a round that writes nothing would not meet it."""
        if self._heartbeat.refused:
            raise self._heartbeat.refused
        if self._away == "Redis":
            require_usable(commands())

    def _serve_vendors(self) -> None:
        """Serve the chosen vendors that this worker can call, with their current settings."""
        vendors = catalogue.all()
        if vendors is self._vendors:
            return
        self._vendors = vendors
        slugs = [slug for slug in vendors if not self._chosen or slug in self._chosen]
        found = unusable.faults(vendors[slug] for slug in slugs)
        self._status.log_unusable(found)
        self._heartbeat.report = unusable.report(found, self._chosen)
        usable = {slug: vendors[slug] for slug in slugs if slug not in found}
        self._schedule.serve(usable)
        self._is_paced = any(buckets_of(vendor).are_charged for vendor in usable.values())

    @property
    def _is_behind(self) -> bool:
        return self._recorder.store_is_away or self._executed.is_behind

    def _release_waiting(self, longer_than_seconds: float) -> None:
        """Release jobs that wait for a thread: they go on without an answer."""
        for execution in self._pool.remove_waiting(longer_than_seconds):
            self._executed.put(execution)

    def _hear(self, streams: set[str]) -> None:
        self._schedule.hear(streams)
        self._wake.set()

    def _sleep(self) -> None:
        due_seconds = self._schedule.seconds_until_due(time.monotonic(), self._taker.room)
        if self._away or self._recorder.store_is_away:
            time.sleep(OUTAGE_RETRY_SECONDS)
        elif self._is_behind:
            time.sleep(BEHIND_SECONDS)
        elif self._has_started:
            time.sleep(self._rest_seconds(due_seconds))
        else:
            self._wake.wait(min(due_seconds, MAX_SLEEP_SECONDS))

    def _rest_seconds(self, due_seconds: float) -> float:
        """Return how long to rest after a round that has started jobs: the entries that come
        meanwhile share one claim.
        """
        shortest = MIN_REST_SECONDS
        if not self._is_paced:  # twice the round, or half of what the waiting jobs will last
            longer = max(2 * self._round_seconds, self._pool.seconds_left() / 2)
            shortest = min(max(shortest, longer), MAX_REST_UNPACED_SECONDS)
        return min(max(due_seconds, shortest), max(MAX_REST_SECONDS, shortest))

    def _note_outage(self, what: str, error: Exception) -> None:
        if self._away != what:
            reason = explain(error) or refusal(error) or f"{type(error).__name__}."
            log.error(REFUSES if refusal(error) else AWAY, self.name, what, reason)
        self._away = what

    def _is_drained(self) -> bool:
        """Whether no job is open, except for those of vendors that an operator has paused."""
        if self._pool.busy:
            return False
        vendors = [vendor.slug for vendor in self._schedule.vendors() if not vendor.paused]
        return not Job.objects.filter(status__in=OPEN, vendor__in=vendors).exists()

    def _finish(self) -> None:
        """Finish calls under way within the grace period, and leave nothing behind."""
        self._release_waiting(0)
        log.info("worker %s stops; %d calls are under way", self.name, self._pool.busy)
        self._pool.wait_until_idle(self._grace_seconds)
        self._sweeper.end()
        self._listener.end()
        if self._executed.finish(FINISH_SECONDS):
            self._interrupt_calls()
        else:  # interrupting now could discard answers, should the store come back meanwhile
            log.error("worker %s ends with unrecorded answers; its jobs are taken over", self.name)
        tallies.finish()  # a forked process does not call what is registered for its exit

    def _interrupt_calls(self) -> None:
        slugs = list(self._vendors)
        try:
            interrupted = takeover.interrupt(self.name, slugs)
            pending.forget(slugs, self.name)
            self._heartbeat.end()
        except (redis.RedisError, *STORE_ERRORS) as error:
            # Without heartbeats it counts as dead, and its jobs are taken over.
            reason = type(error).__name__
            log.warning("worker %s has stopped without releasing its jobs (%s)", self.name, reason)
        else:
            log.info("worker %s has stopped; %d calls were interrupted", self.name, interrupted)
