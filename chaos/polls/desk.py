"""What the vendors without code have in hand, by their own references."""

import hashlib
import time
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from chaos import ledger
from chaos.calls import Call
from chaos.ledger import Event
from chaos.plans import run_of
from chaos.polls.definitions import CALLING_BACK
from chaos.polls.plans import NEVER, NO_DATA, PENDING_SECONDS, poll_mood_of


@dataclass(frozen=True)
class Poll(Call):
    """A poll, and its planned outcome."""

    poll: int = 0  # among the polls for this call, from 1

    def answered(self, at: float, is_whole: bool) -> Event:
        said = self.content["state"] if self.status == 200 else self.mood
        return ledger.Polled(at, self.vendor, self.key, self.number, self.poll, said, is_whole)


@dataclass
class Work:
    """What one call asked for."""

    call: Call
    serial: int
    began_at: float  # monotonic seconds, as the next one
    ready_at: float
    polls: int = 0


class Desk:
    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._works: dict[str, Work] = {}
        self._lock = Lock()

    def take_in(self, call: Call, serial: int) -> Call:
        """Begin the work of a call, and return the call with its answer."""
        if call.vendor == "lookup":
            return _looked_up(call)
        reference = hashlib.sha256(f"{call.vendor}/{call.key}/{call.number}".encode()).hexdigest()
        reference, now = reference[:20], time.monotonic()
        posts = call.vendor in CALLING_BACK and call.callback != "early"
        ready_at = now + (call.plan.callback_seconds if posts else 0)
        self._works[reference] = Work(call, serial, now, ready_at)
        content = {"id": reference, "state": "working"}
        return replace(call, content=content, reference=reference)

    def poll(self, reference: str, imposed: str) -> Poll:
        """Return a poll with its answer. Raises KeyError."""
        work = self._works[reference]
        with self._lock:
            work.polls += 1
            number = work.polls
        call, mood = work.call, "ok"
        if run_of(call.key) == 1:
            mood = poll_mood_of(self._seed, work.serial, call.number, number)
        return Poll(
            call.vendor,
            call.key,
            call.number,
            imposed or mood,
            call.plan,
            call.result,
            content=_said(work, number, reference),
            reference=reference,
            poll=number,
        )


def answer_of(call: Call, reference: str) -> dict[str, Any]:
    """Return what a vendor says about a work that is done."""
    if call.ending == NO_DATA:
        return {"id": reference, "state": "nothing"}
    return {"id": reference, "state": "done", "result": call.result}


def _said(work: Work, number: int, reference: str) -> dict[str, Any]:
    call, now = work.call, time.monotonic()
    is_early = number <= call.plan.pendings and now < work.began_at + PENDING_SECONDS
    if call.ending == NEVER or now < work.ready_at or is_early:
        return {"id": reference, "state": "working"}
    return answer_of(call, reference)


def _looked_up(call: Call) -> Call:
    if call.ending == NO_DATA:
        return replace(call, content={"error": "nobody"}, good_status=404)
    return replace(call, content={"result": call.result})
