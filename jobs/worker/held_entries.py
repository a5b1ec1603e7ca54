"""What a worker has in its hands, and what may have slipped through them."""

import logging
import time
from collections.abc import Iterable, Sequence

import redis

from jobs import lifecycle
from jobs.models import Stream
from jobs.queue import counters, stream
from jobs.queue.clock import redis_clock
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.redis_errors import is_wrong_type
from jobs.queue.stream import Entry, Settlement
from jobs.recovery import pending
from jobs.storage.store import STORE_ERRORS

log = logging.getLogger(__name__)

CHECK_INTERVAL_SECONDS = 30.0
# What was sent to a store that then fell silent can still arrive when the network heals, and start
# jobs that nobody calls.
LATE_SECONDS = 120.0
LATE_LOOK_SECONDS = 5.0


class Hands:
    """The entries that a worker holds. Those pending at it that it does not hold are handed back by
    `tidy`.
    """

    def __init__(self, consumer: str, beat: Heartbeat) -> None:
        self._consumer = consumer
        self._heartbeat = beat
        self._held: set[tuple[str, Stream, str]] = set()
        self._stranded: list[tuple[list[Entry], str]] = []
        self._late: list[tuple[list[Entry], str, float]] = []  # the same, until when
        self._look_for_late_at = 0.0
        self._redis_run_id = ""
        self._look_at = time.monotonic() + CHECK_INTERVAL_SECONDS

    def hold(self, entries: Iterable[Entry]) -> None:
        self._held.update((entry.vendor, entry.stream, entry.id) for entry in entries)

    def let_go(self, entries: Iterable[Entry]) -> None:
        self._held.difference_update([(entry.vendor, entry.stream, entry.id) for entry in entries])

    def doubt(self) -> None:
        """A reply was lost: entries may be pending here that nobody knows of. They are looked for
        at the next tidy.
        """
        self._look_at = 0.0

    def settle(self, vendor: str, settlements: Sequence[Settlement]) -> None:
        """Settle and let go. With Redis away the entries stay pending, and are handed back when it
        is there again.
        """
        entries = [settlement.entry for settlement in settlements if settlement.entry]
        try:
            stream.settle(vendor, settlements)
        except redis.RedisError:
            log.warning(
                "Redis does not answer; %d entries of %s are acknowledged later",
                len(entries),
                vendor,
            )
            self.let_go(entries)
            self.doubt()  # only now: what is held is not looked for
        else:
            self.let_go(entries)

    def strand(self, entries: list[Entry], run_token: str) -> None:
        """The store went away while the batch was started: whether it was is to be seen when it is
        back.
        """
        self._stranded.append((entries, run_token))

    def tidy(self, vendors: Sequence[str]) -> None:
        """Put right what went wrong. Raises what the store and Redis raise; then it is to be called
        again.
        """
        while self._stranded:
            self._hand_back_stranded(*self._stranded[0])
            self._late.append((*self._stranded.pop(0), time.monotonic() + LATE_SECONDS))
        if self._late and time.monotonic() >= self._look_for_late_at:
            self._hand_back_late()
        if self._heartbeat.redis_run_id != self._redis_run_id:
            self._redis_run_id = self._heartbeat.redis_run_id
            self.doubt()
        if time.monotonic() >= self._look_at:
            self._look_at = (
                time.monotonic() + CHECK_INTERVAL_SECONDS
            )  # first, for another thread may come to doubt meanwhile
            try:
                for vendor in vendors:
                    self._hand_back_unheld(vendor)
            except (redis.RedisError, *STORE_ERRORS):
                self.doubt()
                raise

    def _hand_back_unheld(self, vendor: str) -> None:
        try:
            count = pending.requeue(vendor, self._consumer, self._held)
        except redis.ResponseError as error:
            if not is_wrong_type(error):
                raise
            return  # who takes from this vendor says so
        if count:
            log.warning(
                "%d entries of %s were pending at this worker unseen; they are handed back",
                count,
                vendor,
            )
            counters.count("handed_back", vendor, count)

    def _hand_back_stranded(self, entries: list[Entry], run_token: str) -> None:
        self._hand_back_started(entries, run_token)
        # The others were not started, or not by us: that is for their rows to say.
        self.let_go(entries)
        self.doubt()

    def _hand_back_late(self) -> None:
        self._look_for_late_at = time.monotonic() + LATE_LOOK_SECONDS
        for entries, run_token, _ in self._late:
            self._hand_back_started(entries, run_token)
        self._late = [late for late in self._late if late[-1] > time.monotonic()]

    def _hand_back_started(self, entries: list[Entry], run_token: str) -> None:
        jobs = lifecycle.claimed([entry.job_id for entry in entries], run_token)
        moves = [lifecycle.release(job, redis_clock.now()) for job in jobs]
        moved = {
            move.job_id: move
            for move, happened in zip(moves, lifecycle.apply(moves), strict=True)
            if happened
        }
        for entry in entries:
            if entry.job_id in moved:
                self.settle(entry.vendor, [moved[entry.job_id].settlement(entry, refunds=True)])
