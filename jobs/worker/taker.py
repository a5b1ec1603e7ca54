"""Takes from the vendors, one after the other, what a round can start."""

import logging
import time
from collections.abc import Callable

import redis

from jobs.queue.redis import commands
from jobs.queue.redis_errors import WrongTypeError, is_wrong_type, refusal, require_usable
from jobs.queue.take import Taken, take
from jobs.recovery.rebuild import rebuild
from jobs.worker.held_entries import Hands
from jobs.worker.schedule import Schedule
from vendors.models import Vendor

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.05  # how long a round goes on taking
PERMITS_SECONDS = 0.005  # and after its first permit: that must still be good when the call is made


class Gatherer:
    """Asks each vendor whose turn it is for as much as the threads can carry; `room` says how many
    that is.
    """

    def __init__(
        self, consumer: str, schedule: Schedule, hands: Hands, room: Callable[[Vendor], int]
    ) -> None:
        self._consumer = consumer
        self._schedule = schedule
        self._hands = hands
        self._room = room
        self._stale: list[Vendor] = []
        self._set_aside: set[str] = (
            set()
        )  # whose keys in Redis hold what nobody of us has put there

    def gather(self) -> list[Taken]:
        """Return what was taken. Raises redis.RedisError, but not with entries in hand."""
        self._rebuild()
        gathered: list[Taken] = []
        since = time.monotonic()
        for vendor in self._schedule.due(since):
            room = self._room(vendor) - sum(len(taken.entries) for taken in gathered)
            taken = self._take(vendor, room, have=gathered) if room > 0 else None
            if taken and taken.stale:
                self._stale.append(vendor)
            if taken and taken.entries:
                gathered.append(taken)
            if gathered and self._is_time(gathered, time.monotonic()):
                break
        return gathered

    def _is_time(self, gathered: list[Taken], now: float) -> bool:
        """Whether what was taken should be started now."""
        permits_since = min(
            (taken.asked_at for taken in gathered if taken.vendor.windows), default=now
        )
        return now - permits_since > PERMITS_SECONDS or now - gathered[0].asked_at > GATHER_SECONDS

    def _rebuild(self) -> None:
        """Rebuild before anything is taken: it takes a moment, after which permits would be late."""
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

    def _take(self, vendor: Vendor, room: int, *, have: list[Taken]) -> Taken | None:
        try:
            taken = take(vendor, self._consumer, room)
        except redis.RedisError as error:
            self._hands.doubt()
            if is_wrong_type(error):
                self._put_aside(vendor, _wrong_type_of(vendor) or error)
                return None
            if have:
                return None  # what was taken before is started first
            raise
        if vendor.slug in self._set_aside:
            self._set_aside.discard(vendor.slug)
            log.info("vendor %s is served again", vendor)
        self._hands.hold(taken.entries)
        self._schedule.note(taken)
        return taken

    def _put_aside(self, vendor: Vendor, error: redis.RedisError) -> None:
        """Ask a vendor later whose keys hold something else, so that the others are served."""
        self._schedule.set_aside(vendor)
        if vendor.slug not in self._set_aside:
            self._set_aside.add(vendor.slug)
            log.error("vendor %s is not served. %s", vendor, refusal(error))


def _wrong_type_of(vendor: Vendor) -> redis.RedisError | None:
    """Return the error that names the vendor's key which holds something else. Raises what else
    Redis refuses.
    """
    try:
        require_usable(commands(), [vendor.slug])
    except WrongTypeError as error:
        return error
    return None
