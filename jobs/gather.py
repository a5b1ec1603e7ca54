"""Takes from the vendors, one after the other, what a round can start."""

import time
from collections.abc import Callable

import redis

from jobs.hands import Hands
from jobs.rebuild import rebuild
from jobs.schedule import Schedule
from jobs.take import Taken, take
from vendors.models import Vendor

GATHER_SECONDS = 0.05  # how long a round goes on taking
PERMITS_SECONDS = 0.005  # and after its first permit: that must still be good when the call is made


class Gatherer:
    """Asks each vendor whose turn it is for as much as the threads can carry; `room` says how many that is."""

    def __init__(self, consumer: str, schedule: Schedule, hands: Hands, room: Callable[[Vendor], int]) -> None:
        self._consumer = consumer
        self._schedule = schedule
        self._hands = hands
        self._room = room
        self._stale: list[Vendor] = []

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
        permits_since = min((taken.asked_at for taken in gathered if taken.vendor.windows), default=now)
        return now - permits_since > PERMITS_SECONDS or now - gathered[0].asked_at > GATHER_SECONDS

    def _rebuild(self) -> None:
        """Rebuild before anything is taken: it takes a moment, after which permits would be late."""
        stale, self._stale = self._stale, []
        if stale:
            rebuild(stale)

    def _take(self, vendor: Vendor, room: int, *, have: list[Taken]) -> Taken | None:
        try:
            taken = take(vendor, self._consumer, room)
        except redis.RedisError:
            self._hands.doubt()
            if have:
                return None  # what was taken before is started first
            raise
        self._hands.hold(taken.entries)
        self._schedule.note(taken)
        return taken
