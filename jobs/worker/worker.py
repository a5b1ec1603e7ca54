"""Makes the calls. One round of a worker: take what may start, start it, hand it to threads, sleep
until there is more to do.

What the threads bring back goes to the recorder, which writes it down and then settles the entries.
"""

import logging
import os
import secrets
import socket
import time
from threading import Event

import redis
from django.db import close_old_connections

from jobs.models import OPEN, Job
from jobs.queue.clock import redis_clock
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.redis import commands
from jobs.queue.redis_errors import refusal, require_usable
from jobs.recovery import pending, takeover, unusable
from jobs.recovery.sweep import Sweeper
from jobs.storage.errors import fault
from jobs.storage.store import STORE_ERRORS
from jobs.worker.claim import Starter
from jobs.worker.execute import Caller, Ended, Started
from jobs.worker.held_entries import Hands
from jobs.worker.listener import Listener
from jobs.worker.pool import Pool
from jobs.worker.record import Recorder
from jobs.worker.schedule import Schedule
from jobs.worker.taker import Gatherer
from vendors.catalogue import catalogue
from vendors.models import Vendor

log = logging.getLogger(__name__)

CHECK_INTERVAL_SECONDS = (
    0.4  # how long a worker sleeps at the most: settings are in force within a second
)
OUTAGE_RETRY_SECONDS = 0.5  # how long it waits when Redis or the store is away
MIN_REST_SECONDS = 0.005  # how long it rests between two rounds that start jobs
MAX_REST_SECONDS = 0.01
MAX_REST_UNPACED_SECONDS = 0.05
MAX_WAIT_SECONDS = 1.0  # how long a started job waits for a thread
BEHIND_SECONDS = 0.05  # how long it waits when answers come faster than they are recorded
FINISH_SECONDS = 10.0  # for recording the last answers
AWAY = "worker %s: %s does not answer; jobs wait until it does. %s"


class Worker:
    """Works until it is stopped, or with `drain` until nothing is left to do."""

    def __init__(
        self,
        *,
        threads: int,
        vendors: list[str] | None = None,
        drain: bool = False,
        grace_seconds: float = 20,
    ) -> None:
        self.name = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._chosen = vendors
        self._drain = drain
        self._grace_seconds = grace_seconds
        # no Event: a signal handler sets it, and could wait for a lock that its own thread holds
        self.is_stopping = False
        self._wake = Event()
        self._away = ""
        self._is_busy = False
        self._round_seconds = 0.0
        self._keeps_pace = False
        self._known: dict[str, Vendor] = {}
        self._unusable: dict[str, str] = {}  # why, by vendor
        self._schedule = Schedule()
        self._heartbeat = Heartbeat(self.name)
        self._heartbeat.report = unusable.NOT_KNOWN_YET
        self._hands = Hands(self.name, self._heartbeat)
        self._recorder = Recorder(settle=self._hands.settle)
        self._caller = Caller(self._recorder.ended)
        self._pool: Pool[Started] = Pool(threads, self._caller.call, self._wake.set)
        self._gatherer = Gatherer(self.name, self._schedule, self._hands, self._room)
        self._starter = Starter(self.name, self._hands)
        self._listener = Listener(self.name, self._hear)
        self._sweeper = Sweeper(self.name)

    def run(self) -> None:
        """Work. Returns when stopped or drained, with nothing in hand."""
        log.info("worker %s starts, for %s", self.name, ", ".join(self._chosen or ["all vendors"]))
        self._heartbeat.try_send()  # so that our clock is right before anything goes by it
        for thread in (self._heartbeat, self._recorder, self._listener, self._sweeper):
            thread.start()
        while not self.is_stopping:
            self._wake.clear()
            self._try_round()
            self._sleep()
        self._finish()

    def stop(self) -> None:
        """End soon: take nothing more, finish what is in flight within the grace period, hand back
        the rest.
        """
        self.is_stopping = True

    def _try_round(self) -> None:
        began_at = time.monotonic()
        try:
            self._round()
        except redis.RedisError as error:
            self._is_away("Redis", error)
            self._hands.doubt()
        except STORE_ERRORS as error:
            self._is_away("the store", error)
            close_old_connections()
        else:
            if self._away:
                log.info("worker %s: %s is back", self.name, self._away)
            self._away = ""
        self._round_seconds = time.monotonic() - began_at

    def _round(self) -> None:
        self._require_redis()
        self._look_at_vendors()
        self._hands.tidy(list(self._known))
        taken = [] if self._recorder.is_behind else self._gatherer.gather()
        self._is_busy = bool(taken)
        if taken:
            self._pool.put((started.vendor.slug, started) for started in self._starter.start(taken))
        self._hand_back(
            self._pool.take_back(MAX_WAIT_SECONDS)
        )  # a vendor that was quick hangs: let others have them
        self._listener.watch(self._schedule.ends())
        if self._drain and self._nothing_left():
            self.stop()

    def _require_redis(self) -> None:
        """Raise what Redis refuses: a round that has nothing to write would not meet it."""
        if self._heartbeat.refused:
            raise self._heartbeat.refused
        if self._away == "Redis":
            require_usable(commands())

    def _look_at_vendors(self) -> None:
        vendors = catalogue.all()
        if vendors is not self._known:
            self._known = vendors
            chosen = {
                slug: vendor
                for slug, vendor in vendors.items()
                if not self._chosen or slug in self._chosen
            }
            self._tell_unusable(
                {slug: why for slug, vendor in chosen.items() if (why := unusable.fault(vendor))}
            )
            usable = {slug: vendor for slug, vendor in chosen.items() if slug not in self._unusable}
            self._schedule.know(usable)
            self._keeps_pace = any(vendor.windows for vendor in usable.values())

    def _tell_unusable(self, found: dict[str, str]) -> None:
        """Say once of each vendor why this worker takes none of its jobs, here and to the others."""
        for slug, why in found.items():
            if self._unusable.get(slug) != why:
                log.error("vendor %s is not called by this worker: %s", slug, why)
        for slug in self._unusable.keys() - found.keys():
            log.info("vendor %s can be called", slug)
        self._unusable = found
        self._heartbeat.report = unusable.report(found, self._chosen)

    def _room(self, vendor: Vendor) -> int:
        if vendor.is_paused(redis_clock.now()):
            return 0
        # Ahead of time only where no permit or slot runs out meanwhile, and a crash costs no more
        # than calling once more.
        ahead = vendor.repeat_unknown and not (vendor.windows or vendor.max_in_flight)
        return self._pool.room(vendor.slug, ahead=ahead)

    def _hand_back(self, uncalled: list[Started]) -> None:
        for started in uncalled:
            self._recorder.ended.put(Ended(started, None))

    def _sleep(self) -> None:
        if self._away or self._recorder.store_is_away:
            time.sleep(OUTAGE_RETRY_SECONDS)
            return
        if self._recorder.is_behind:
            time.sleep(BEHIND_SECONDS)
            return
        seconds = self._schedule.seconds_until_due(time.monotonic(), self._room)
        if self._is_busy:
            time.sleep(self._rest_seconds(seconds))
            return
        self._wake.wait(min(seconds, CHECK_INTERVAL_SECONDS))

    def _rest_seconds(self, due_seconds: float) -> float:
        """Return how long to rest after a round that has started jobs.

        What comes in meanwhile shares one update: to start jobs one by one costs most of what a
        worker does. Where no pace is to be kept, it may be longer: as long as threads have enough
        to do, and twice as long as the round took.
        """
        shortest = MIN_REST_SECONDS
        if not self._keeps_pace:
            longer = max(2 * self._round_seconds, self._pool.seconds_ahead() / 2)
            shortest = min(max(shortest, longer), MAX_REST_UNPACED_SECONDS)
        return min(max(due_seconds, shortest), max(MAX_REST_SECONDS, shortest))

    def _hear(self, streams: set[str]) -> None:
        self._schedule.hear(streams)
        self._wake.set()

    def _is_away(self, what: str, error: Exception) -> None:
        if self._away != what:
            reason = fault(error) or refusal(error) or f"{type(error).__name__}."
            text = "worker %s: %s can't be used; jobs wait. %s" if refusal(error) else AWAY
            log.error(text, self.name, what, reason)
        self._away = what

    def _nothing_left(self) -> bool:
        """Whether no job is open, but for those of vendors that wait for an operator."""
        if self._pool.busy:
            return False
        vendors = [vendor.slug for vendor in self._schedule.vendors() if not vendor.paused]
        return not Job.objects.filter(status__in=OPEN, vendor__in=vendors).exists()

    def _finish(self) -> None:
        """Finish what is in flight within the grace period, hand back the rest, and leave nothing
        behind.
        """
        self._hand_back(self._pool.take_back(0))
        log.info("worker %s stops; %d calls are under way", self.name, self._pool.busy)
        self._pool.wait_until_idle(self._grace_seconds)
        self._sweeper.end()
        self._recorder.finish(FINISH_SECONDS)
        if self._recorder.is_alive():
            # Handing back now could take from those jobs the answers that they have, should the
            # store come back meanwhile.
            log.error(
                "worker %s ends with answers that the store did not take; its jobs are taken over",
                self.name,
            )
            return
        vendors = list(self._known)
        try:
            interrupted = takeover.interrupt(self.name, vendors)
            pending.forget(vendors, self.name)
            self._heartbeat.end()
            log.info(
                "worker %s has stopped; %d calls under way were handed back", self.name, interrupted
            )
        except (redis.RedisError, *STORE_ERRORS) as error:
            # Without a beat it counts as dead, and its jobs are taken over.
            log.warning(
                "worker %s has stopped, and could not hand back all (%s)",
                self.name,
                type(error).__name__,
            )
