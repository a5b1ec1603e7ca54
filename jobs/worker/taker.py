"""Takes from the vendors, one after the other, as many entries as a round can start."""

import logging
import time

import redis

from jobs.queue.buckets import buckets_of
from jobs.queue.clock import redis_clock
from jobs.queue.redis import commands
from jobs.queue.redis_errors import WrongTypeError, is_wrong_type, refusal, require_usable
from jobs.queue.take import Taken, take
from jobs.queue.vendor_keys import key_types
from jobs.recovery import versions
from jobs.recovery.rebuild import rebuild
from jobs.worker.execution import Execution
from jobs.worker.held_entries import HeldEntries
from jobs.worker.schedule import Schedule
from jobs.worker.threads.pool import Pool
from vendors.models import Vendor

log = logging.getLogger(__name__)

MAX_ROUND_SECONDS = 0.05  # how long a round goes on taking
# And for how long after its first permit, which must still be fresh when the call is made.
MAX_PERMIT_WAIT_SECONDS = 0.005


class Taker:
    """Asks each vendor that is due for as many entries as the pool has room for."""

    def __init__(
        self, consumer: str, schedule: Schedule, held: HeldEntries, pool: Pool[Execution]
    ) -> None:
        self._consumer = consumer
        self._schedule = schedule
        self._held = held
        self._pool = pool
        self.is_drained = False  # takes nothing
        self._stale: list[Vendor] = []
        self._outdated: list[Taken] = []
        self._set_aside: set[str] = set()  # vendors with a key of the wrong type in Redis

    def room(self, vendor: Vendor) -> int:
        """Return how many entries may be taken from the vendor."""
        if self.is_drained:
            return 0
        now = redis_clock.now()
        if vendor.is_paused(now) and not ("poll" in vendor.definition and vendor.allows_polls(now)):
            return 0
        # More than there are threads only if no permit or slot expires meanwhile, and if after a
        # crash the calls may be repeated.
        buckets = buckets_of(vendor)
        ahead = vendor.repeat_unknown and not (buckets.are_charged or buckets.have_slots)
        return self._pool.room(vendor.slug, ahead=ahead)

    def take(self) -> list[Taken]:
        """Take from the vendors that are due. Raises redis.RedisError and STORE_ERRORS, but only if
        nothing was taken.
        """
        self._read_outdated()
        self._rebuild_stale()
        takes: list[Taken] = []
        for vendor in self._schedule.due(time.monotonic()):
            room = self.room(vendor) - sum(len(taken.entries) for taken in takes)
            taken = self._take(vendor, room, is_first=not takes) if room > 0 else None
            if taken and taken.stale:
                self._stale.append(vendor)
            if taken and taken.outdated:
                self._outdated.append(taken)
            if taken and taken.entries:
                takes.append(taken)
            if takes and _must_start(takes, time.monotonic()):
                break
        return takes

    def _read_outdated(self) -> None:
        outdated, self._outdated = self._outdated, []
        if outdated:
            versions.read_again(outdated)

    def _rebuild_stale(self) -> None:
        """Rebuild limits before anything is taken: it takes a while, and permits would expire."""
        stale, self._stale = self._stale, []
        try:
            if stale:
                rebuild(stale)
        except redis.ResponseError as error:
            if not is_wrong_type(error):
                raise
            for vendor in stale:
                if fault := _wrong_type_of(vendor):
                    self._put_aside(vendor, fault)

    def _take(self, vendor: Vendor, room: int, *, is_first: bool) -> Taken | None:
        try:
            taken = take(vendor, self._consumer, room)
        except redis.RedisError as error:
            self._held.expect_unknown_entries()
            if is_wrong_type(error):
                self._put_aside(vendor, _wrong_type_of(vendor) or error)
                return None
            if is_first:
                raise
            return None  # what was taken before is started first
        if vendor.slug in self._set_aside:
            self._set_aside.discard(vendor.slug)
            log.info("vendor %s is served again", vendor)
        self._held.add(taken.entries)
        self._schedule.note(taken)
        return taken

    def _put_aside(self, vendor: Vendor, error: redis.RedisError) -> None:
        """Ask this vendor again later, so that the others are served."""
        self._schedule.set_aside(vendor)
        if vendor.slug not in self._set_aside:
            self._set_aside.add(vendor.slug)
            log.error("vendor %s is not served. %s", vendor, refusal(error))


def _must_start(takes: list[Taken], now: float) -> bool:
    """Whether what was taken must be started now."""
    permits = [taken.asked_at for taken in takes if buckets_of(taken.vendor).are_charged]
    is_permit_old = bool(permits) and now - min(permits) > MAX_PERMIT_WAIT_SECONDS
    return is_permit_old or now - takes[0].asked_at > MAX_ROUND_SECONDS


def _wrong_type_of(vendor: Vendor) -> redis.RedisError | None:
    """Return the error that names the vendor's key of the wrong type. Raises other refusals."""
    try:
        require_usable(commands(), key_types(vendor))
    except WrongTypeError as error:
        return error
    return None
