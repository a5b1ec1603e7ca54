"""Requests with `Prefer: wait=N`, which are answered when a job or batch is final, or after N
seconds.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from chaos.api import Answer, Session

Finding = tuple[str, str]  # an id, and what is wrong

FINAL = ("complete", "failed", "cancelled", "finished")
# What a request may take in addition: to be read, to look at the store and to be answered. Longer
# while a fault is active, as any other request does.
MARGIN_SECONDS = 2.0
MARGIN_IN_TROUBLE_SECONDS = 5.0


@dataclass(frozen=True)
class Wait:
    """One such request, and its answer."""

    what: str  # "job", "new job" or "batch"
    seconds: int  # that it would wait
    at: float  # Unix seconds
    took_seconds: float
    answer: str  # status, or the name of an exception
    shown_id: str = ""
    is_final: bool = False
    preference_applied: str = ""
    finished_at: float = 0.0  # Unix seconds, as shown

    @property
    def wake_seconds(self) -> float | None:
        """How long after its end the answer came; None if it had ended before, or not yet."""
        if not self.preference_applied or self.finished_at < self.at:
            return None
        return self.at + self.took_seconds - self.finished_at


def get(
    what: str, session: Session, url: str, headers: Mapping[str, str], seconds: int
) -> tuple[Answer, Wait]:
    """GET a job or a batch. Returns the answer twice, in full and in short."""
    return _timed(what, seconds, lambda: session.wait("GET", url, headers, seconds))


def post(
    session: Session, url: str, headers: Mapping[str, str], body: Any, seconds: int
) -> tuple[Answer, Wait]:
    """POST a job. Returns the same."""
    return _timed("new job", seconds, lambda: session.wait("POST", url, headers, seconds, body))


def _timed(what: str, seconds: int, ask: Callable[[], Answer]) -> tuple[Answer, Wait]:
    at, since = time.time(), time.monotonic()
    answer = ask()
    took_seconds = time.monotonic() - since
    shown = answer.body
    finished_at = shown.get("finished_at")
    return answer, Wait(
        what,
        seconds,
        at,
        took_seconds,
        answer.word,
        shown.get("request_id") or shown.get("batch_id") or "",
        shown.get("status", shown.get("state")) in FINAL,
        answer.preference_applied,
        datetime.fromisoformat(finished_at).timestamp() if finished_at else 0.0,
    )


def overdue(waits: Sequence[Wait], troubles: Sequence[tuple[float, float]]) -> Iterator[Finding]:
    """Yield waits that were answered too late. `troubles`: when faults began and ended."""
    for wait in waits:
        ended = wait.at + wait.took_seconds
        in_trouble = any(began < ended and until > wait.at - 1 for began, until in troubles)
        margin = MARGIN_IN_TROUBLE_SECONDS if in_trouble else MARGIN_SECONDS
        if wait.answer.isdecimal() and wait.took_seconds > wait.seconds + margin:
            words = f"was answered {wait.answer} after {wait.took_seconds:.1f} s"
            yield wait.shown_id, f"{_words(wait)} {words}"


def wrong(waits: Sequence[Wait]) -> Iterator[Finding]:
    """Yield waits whose answer is not what Preference-Applied says."""
    for wait in waits:
        if not wait.preference_applied:
            continue
        if wait.preference_applied != f"wait={wait.seconds}":
            yield wait.shown_id, f"{_words(wait)} was answered with {wait.preference_applied!r}"
        if wait.answer != "200" or not wait.is_final:
            yield wait.shown_id, f"{_words(wait)} was answered {wait.answer} before the end"


def rows(waits: Sequence[Wait]) -> Iterator[tuple[str, str]]:
    applied = [wait for wait in waits if wait.preference_applied]
    plain = [wait for wait in waits if wait.answer.isdecimal() and not wait.preference_applied]
    unaware = sum(wait.is_final and wait.took_seconds > wait.seconds for wait in plain)
    yield (
        "waits",
        f"{len(waits)}: {len(applied)} until the end, {len(plain)} answered plainly "
        f"({unaware} of them final by then)",
    )
    woken = sorted(seconds for wait in applied if (seconds := wait.wake_seconds) is not None)
    if woken:
        yield "woken after", f"median {median(woken) * 1000:.0f} ms, slowest {woken[-1]:.1f} s"


def _words(wait: Wait) -> str:
    return f"wait={wait.seconds} for a {wait.what}"
