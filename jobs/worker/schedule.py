"""When to ask which vendor for entries again.

A vendor without entries is not asked until one is added. A vendor that waits for something else,
such as a slot, is also asked every few seconds. So is one of the vendors without entries, in turn,
to find out whether Redis lost its data.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.queue.take import Taken
from vendors.models import Vendor

MAX_WAIT_SECONDS = 5.0
STALE_WAIT_SECONDS = 0.1


def _entry_number(entry_id: str) -> tuple[int, ...]:
    return tuple(map(int, entry_id.split("-")))


@dataclass
class _Turn:
    vendor: Vendor
    ask_at: float = 0.0  # monotonic seconds
    checked_at: float = 0.0  # when it was last chosen for the periodic check
    listen: dict[str, str] = field(default_factory=dict)
    is_stale: bool = False


class Schedule:
    """A turn for each vendor. Only `hear` may be called from another thread."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}
        self._heard: deque[set[str]] = deque()
        self._check_at = 0.0
        self._checked = ""

    def serve(self, vendors: dict[str, Vendor]) -> None:
        """Schedule exactly these vendors. One whose settings changed is asked at once."""
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
        """Remember for how long a vendor said that there is nothing to take."""
        turn = self._turns[taken.vendor.slug]
        wait = STALE_WAIT_SECONDS if taken.stale or taken.outdated else taken.wait_seconds
        turn.ask_at = taken.asked_at + (wait if taken.has_no_more else min(wait, MAX_WAIT_SECONDS))
        turn.listen = taken.listen
        if taken.stale and not turn.is_stale:
            self._check_others(turn)
        turn.is_stale = taken.stale
        if taken.vendor.slug == self._checked:
            self._check_at = taken.asked_at + MAX_WAIT_SECONDS

    def set_aside(self, vendor: Vendor) -> None:
        """Ask this vendor again in a while, even if its streams grow."""
        if turn := self._turns.get(vendor.slug):
            turn.ask_at, turn.listen = time.monotonic() + MAX_WAIT_SECONDS, {}

    def hear(self, streams: set[str]) -> None:
        """Ask the vendors that wait for one of these streams to grow."""
        self._heard.append(streams)

    def due(self, now: float) -> list[Vendor]:
        """Return the vendors to ask, the one that has been due for longest first."""
        while self._heard:
            streams = self._heard.popleft()
            for turn in self._turns.values():
                if not turn.listen.keys().isdisjoint(streams):
                    turn.ask_at = min(turn.ask_at, now)
        if now >= self._check_at:
            self._check_one(now)
        due = [turn for turn in self._turns.values() if turn.ask_at <= now]
        return [turn.vendor for turn in sorted(due, key=lambda turn: turn.ask_at)]

    def seconds_until_due(self, now: float, room: Callable[[Vendor], int]) -> float:
        """Return the seconds until a vendor is due for which there is room."""
        turns = sorted(self._turns.values(), key=lambda turn: turn.ask_at)
        ask_at = next((turn.ask_at for turn in turns if room(turn.vendor)), now + MAX_WAIT_SECONDS)
        return max(0.0, ask_at - now)

    def ends(self) -> dict[str, str]:
        """Return the streams to listen to, each with the id of its last entry.

        Of a stream of several vendors, the entry that one of them knew first: the next may be news
        to that vendor.
        """
        ends: dict[str, str] = {}
        for turn in self._turns.values():
            for stream, end in turn.listen.items():
                ends[stream] = min(ends.get(stream, end), end, key=_entry_number)
        return ends

    def _check_one(self, now: float) -> None:
        """Ask the vendor that was not checked for longest.

        Until one answers, each call chooses another, because paused vendors are not asked.
        """
        turn = min(self._turns.values(), key=lambda turn: turn.checked_at, default=None)
        if turn:
            turn.checked_at, turn.ask_at = now, min(turn.ask_at, now)
            self._checked = turn.vendor.slug

    def _check_others(self, stale: _Turn) -> None:
        """Ask all other vendors too: if Redis lost the data of one, it may have lost theirs."""
        for turn in self._turns.values():
            if turn is not stale and not turn.is_stale:
                turn.ask_at = min(turn.ask_at, stale.ask_at)
