"""When to ask which vendor for work again.

A vendor that has none is not asked until there is news of an entry. One that waits for something
else is asked every few seconds, to be sure; and so is one of those that have none, for the sake of
all: whether Redis has lost its data.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.queue.take import Taken
from vendors.models import Vendor

MAX_WAIT_SECONDS = 5.0
STALE_WAIT_SECONDS = 0.1


@dataclass
class _Turn:
    vendor: Vendor
    ask_at: float = 0.0  # monotonic seconds
    checked_at: float = 0.0  # when it was last picked for the sake of all
    listen: dict[str, str] = field(default_factory=dict)
    is_stale: bool = False


class Schedule:
    """One turn a vendor. Only `hear` may be called from another thread."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}
        self._heard: deque[set[str]] = deque()
        self._check_at = 0.0
        self._checked = ""

    def know(self, vendors: dict[str, Vendor]) -> None:
        """Keep turns for exactly these vendors; a vendor whose settings have changed is asked at
        once.
        """
        turns = {}
        for slug, vendor in vendors.items():
            turn = self._turns.get(slug)
            same = turn is not None and turn.vendor.settings_key == vendor.settings_key
            turns[slug] = turn if turn and same else _Turn(vendor)
            turns[slug].vendor = vendor
        self._turns = turns

    def vendors(self) -> list[Vendor]:
        return [turn.vendor for turn in self._turns.values()]

    def note(self, taken: Taken) -> None:
        """Remember how long a vendor said that asking again is of no use."""
        turn = self._turns[taken.vendor.slug]
        wait = STALE_WAIT_SECONDS if taken.stale else taken.wait_seconds
        turn.ask_at = taken.asked_at + (wait if taken.has_no_more else min(wait, MAX_WAIT_SECONDS))
        turn.listen = taken.listen
        if taken.stale and not turn.is_stale:
            self._doubt_others(turn)
        turn.is_stale = taken.stale
        if taken.vendor.slug == self._checked:
            self._check_at = taken.asked_at + MAX_WAIT_SECONDS

    def set_aside(self, vendor: Vendor) -> None:
        """Ask this vendor again in a while, whatever is heard of it."""
        if turn := self._turns.get(vendor.slug):
            turn.ask_at, turn.listen = time.monotonic() + MAX_WAIT_SECONDS, {}

    def hear(self, streams: set[str]) -> None:
        """Ask those vendors at once for which one of the streams was worth listening to."""
        self._heard.append(streams)

    def due(self, now: float) -> list[Vendor]:
        """Return the vendors to ask, the one that was due first in front."""
        while self._heard:
            streams = self._heard.popleft()
            for turn in self._turns.values():
                if not turn.listen.keys().isdisjoint(streams):
                    turn.ask_at = min(turn.ask_at, now)
        if now >= self._check_at:
            self._check_one(now)
        due = [turn for turn in self._turns.values() if turn.ask_at <= now]
        return [turn.vendor for turn in sorted(due, key=lambda turn: turn.ask_at)]

    def seconds_until_due(self, now: float, has_room: Callable[[Vendor], int]) -> float:
        """Return how long nothing is due; vendors that no thread could serve do not count."""
        turns = sorted(self._turns.values(), key=lambda turn: turn.ask_at)
        ask_at = next(
            (turn.ask_at for turn in turns if has_room(turn.vendor)), now + MAX_WAIT_SECONDS
        )
        return max(0.0, ask_at - now)

    def ends(self) -> dict[str, str]:
        """Return the streams that are worth listening to, by where they ended."""
        return {stream: end for turn in self._turns.values() for stream, end in turn.listen.items()}

    def _check_one(self, now: float) -> None:
        """Ask the one that was not checked for longest; each time another, until one answers, for a
        paused one is not asked.
        """
        turn = min(self._turns.values(), key=lambda turn: turn.checked_at, default=None)
        if turn:
            turn.checked_at, turn.ask_at = now, min(turn.ask_at, now)
            self._checked = turn.vendor.slug

    def _doubt_others(self, stale: _Turn) -> None:
        """What one has lost, all may have."""
        for turn in self._turns.values():
            if turn is not stale and not turn.is_stale:
                turn.ask_at = min(turn.ask_at, stale.ask_at)
