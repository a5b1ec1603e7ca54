"""The entries that a worker holds, and how it finds those that it lost track of."""

import logging
import time
from collections.abc import Iterable, Sequence

import redis

from jobs import lifecycle, tallies
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.redis_errors import is_wrong_type
from jobs.queue.stream import Entry, Place, Settlement
from jobs.recovery import pending
from jobs.storage.store import STORE_ERRORS

log = logging.getLogger(__name__)

CHECK_INTERVAL_SECONDS = 30.0
# A claim that was sent to a store which then stopped answering can still arrive when the network
# recovers, and set jobs to processing that no thread executes.
LATE_CLAIM_SECONDS = 120.0
LATE_CLAIM_CHECK_INTERVAL_SECONDS = 5.0


class HeldEntries:
    """The entries that were taken and are not settled yet.

    `reconcile` requeues entries that Redis has pending at this worker although it does not hold
    them, and releases jobs of claims whose outcome was unknown.
    """

    def __init__(self, consumer: str, heartbeat: Heartbeat) -> None:
        self._consumer = consumer
        self._heartbeat = heartbeat
        self._held: set[Place] = set()
        self._suspect_claims: list[tuple[list[Entry], str]] = []  # entries, run token
        self._late_claims: list[tuple[list[Entry], str, float]] = []  # and until when to check
        self._check_late_claims_at = 0.0
        self._redis_run_id = ""
        self._check_at = time.monotonic() + CHECK_INTERVAL_SECONDS

    def add(self, entries: Iterable[Entry]) -> None:
        self._held.update(entry.place for entry in entries)

    def remove(self, entries: Iterable[Entry]) -> None:
        self._held.difference_update([entry.place for entry in entries])

    def settle(self, slug: str, settlements: Sequence[Settlement]) -> None:
        """Settle entries of one vendor, and hold them no longer.

        If Redis is away they stay pending there, and `reconcile` finds them when it is back.
        """
        entries = [settlement.entry for settlement in settlements if settlement.entry]
        try:
            stream.settle(slug, settlements)
        except redis.RedisError:
            text = "Redis does not answer; %d entries of %s are acknowledged later"
            log.warning(text, len(entries), slug)
            self.remove(entries)
            self.expect_unknown_entries()  # after the removal: entries that are held don't count
        else:
            self.remove(entries)

    def expect_unknown_entries(self) -> None:
        """Check for unknown entries at the next `reconcile`: a reply of Redis was lost."""
        self._check_at = 0.0

    def suspect_claim(self, entries: list[Entry], run_token: str) -> None:
        """The store failed during a claim; `reconcile` finds out whether it happened."""
        self._suspect_claims.append((entries, run_token))

    def reconcile(self, slugs: Sequence[str]) -> None:
        """Release suspect claims and requeue unknown entries of these vendors.

        Raises redis.RedisError and STORE_ERRORS; call it again later.
        """
        while self._suspect_claims:
            self._resolve_suspect_claim(*self._suspect_claims[0])
            until = time.monotonic() + LATE_CLAIM_SECONDS
            self._late_claims.append((*self._suspect_claims.pop(0), until))
        if self._late_claims and time.monotonic() >= self._check_late_claims_at:
            self._release_late_claims()
        if self._heartbeat.redis_run_id != self._redis_run_id:
            self._redis_run_id = self._heartbeat.redis_run_id
            self.expect_unknown_entries()
        if time.monotonic() >= self._check_at:
            # First, because another thread may ask for the next check meanwhile.
            self._check_at = time.monotonic() + CHECK_INTERVAL_SECONDS
            self._requeue_unknown_entries(slugs)

    def _requeue_unknown_entries(self, slugs: Sequence[str]) -> None:
        for slug in slugs:
            try:
                count = pending.requeue(slug, self._consumer, self._held)
            except (redis.RedisError, *STORE_ERRORS) as error:
                if is_wrong_type(error):
                    continue  # the taker logs it
                self.expect_unknown_entries()
                raise
            if count:
                log.warning(
                    "%d unknown pending entries of %s found on this worker; requeued", count, slug
                )
                tallies.count("requeued_entries", slug, count)

    def _resolve_suspect_claim(self, entries: list[Entry], run_token: str) -> None:
        self._release_claimed(entries, run_token)
        # The others were not claimed, or not by us; their rows tell.
        self.remove(entries)
        self.expect_unknown_entries()

    def _release_late_claims(self) -> None:
        self._check_late_claims_at = time.monotonic() + LATE_CLAIM_CHECK_INTERVAL_SECONDS
        for entries, run_token, _ in self._late_claims:
            self._release_claimed(entries, run_token)
        self._late_claims = [late for late in self._late_claims if late[-1] > time.monotonic()]

    def _release_claimed(self, entries: list[Entry], run_token: str) -> None:
        jobs = lifecycle.claimed([entry.job_id for entry in entries], run_token)
        moves = [lifecycle.release(job, redis_clock.now()) for job in jobs]
        results = zip(moves, lifecycle.apply(moves), strict=True)
        released = {move.job_id: move for move, happened in results if happened}
        for entry in entries:
            if move := released.get(entry.job_id):
                self.settle(entry.slug, [move.settlement(entry, refunds=True)])
