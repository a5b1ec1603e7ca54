"""How long recovery took after a worker died and after Redis lost all data."""

from collections.abc import Iterator
from dataclasses import dataclass

from chaos.history import History, Story
from chaos.journal import End

WITHIN_SECONDS = 15.0


@dataclass(frozen=True)
class Recovery:
    seconds: float
    job_id: str
    is_disturbed: bool  # another fault was active meanwhile


def after_kills(history: History) -> list[Recovery]:
    """Return, for each job of a dead worker, the time from the death to the next attempt."""
    deaths = [
        end
        for end in history.journal.ends
        if end.name.startswith("worker") and end.how != "SIGTERM"
    ]
    return [
        recovery
        for story in history.stories.values()
        for recovery in _after_kills(history, story, deaths)
    ]


def _after_kills(history: History, story: Story, deaths: list[End]) -> Iterator[Recovery]:
    attempts = sorted(story.attempts, key=lambda attempt: attempt.number)
    for attempt, following in zip(attempts, attempts[1:], strict=False):
        pid, began, again_at = (
            _pid(attempt.worker),
            attempt.started_at.timestamp(),
            following.started_at.timestamp(),
        )
        died_at = min(
            (death.at for death in deaths if death.pid == pid and began < death.at < again_at),
            default=None,
        )
        if attempt.outcome == "worker_lost" and died_at:
            disturbed = _disturbed(history, died_at, again_at, {"redis", "store", "vendor"})
            yield Recovery(again_at - died_at, story.job.pk, disturbed)


def _pid(worker: str) -> int:
    return int(worker.rsplit("-", 2)[1])


def after_flushes(history: History) -> list[Recovery]:
    """Return, for each job of the vendor without limits that was queued when Redis lost its data,
    the time until it started.
    """
    found = []
    for story in history.stories.values():
        # Of a job that expired first, a retry may start it much later.
        starts = (attempt.started_at.timestamp() for attempt in story.attempts_of(1))
        first = min(starts, default=0.0)
        between = [
            at for at in history.journal.flushes if story.job.created_at.timestamp() < at < first
        ]
        if story.job.vendor == "quick" and len(between) == 1:
            disturbed = _disturbed(history, between[0], first, {"workers", "store", "vendor"})
            found.append(Recovery(first - between[0], story.job.pk, disturbed))
    return found


def _disturbed(history: History, began: float, ended: float, parts: set[str]) -> bool:
    return any(
        trouble.part in parts and trouble.began < ended and trouble.ended > began - 1
        for trouble in history.journal.troubles
    )


def longest(recoveries: list[Recovery]) -> str:
    calm = [each.seconds for each in recoveries if not each.is_disturbed]
    disturbed = [each.seconds for each in recoveries if each.is_disturbed]
    words = f"{max(calm):.1f} s ({len(calm)} jobs)" if calm else "none"
    return words + (
        f"; during other faults {max(disturbed):.1f} s ({len(disturbed)} jobs)" if disturbed else ""
    )
