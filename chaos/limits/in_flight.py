"""How many jobs were in flight at once, at least, as the rows tell: called, or waiting for their
answer.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import chain

from chaos.history import Finding, History, Story
from chaos.limits.definitions import LIMITS, MEMBERS, OTHER_MEMBERS
from chaos.vendors import VENDORS
from jobs.models import Attempt, Verdict

Span = tuple[datetime, datetime]


def caps() -> Iterator[tuple[str, int, list[str]]]:
    """Yield each limit on jobs in flight: its name, the limit, and the vendors that it surely
    counts all the time.
    """
    for slug, settings in VENDORS.items():
        if cap := settings.fields.get("max_in_flight"):
            yield slug, cap, [slug]
    for limit, definition in LIMITS.items():
        if cap := definition.get("max_in_flight"):
            named = [slug for slug, limits in MEMBERS.items() if limit in limits]
            yield limit, cap, [slug for slug in named if slug not in OTHER_MEMBERS]


def most(history: History) -> dict[str, int]:
    """Return the most jobs that were in flight at once, by the name of each limit."""
    return {name: len(_most(history, slugs)) for name, _, slugs in caps()}


def above_cap(history: History) -> Iterator[Finding]:
    for name, cap, slugs in caps():
        if len(jobs := _most(history, slugs)) > cap:
            yield jobs[-1], f"was the {len(jobs)}th in flight under {name}, which allows {cap}"


def _most(history: History, slugs: list[str]) -> list[str]:
    """Return the jobs of these vendors that were in flight when most were."""
    spans = [
        (job_id, span)
        for job_id, story in history.stories.items()
        if story.job.vendor in slugs
        for span in _spans(story)
    ]
    begins = ((begin, 1, job_id) for job_id, (begin, _) in spans)
    ends = ((end, 0, job_id) for job_id, (_, end) in spans)  # at the same time, first
    open_jobs: dict[str, None] = {}
    fullest: list[str] = []
    for _, is_begin, job_id in sorted(chain(begins, ends)):
        if is_begin:
            open_jobs[job_id] = None
        else:
            open_jobs.pop(job_id, None)
        if len(open_jobs) > len(fullest):
            fullest = list(open_jobs)
    return fullest


def _spans(story: Story) -> Iterator[Span]:
    """Yield from when until when, at least, each attempt kept the job in flight."""
    for attempt in story.attempts:
        end = _end(story, attempt)
        if attempt.started_at < end:
            yield attempt.started_at, end


def _end(story: Story, attempt: Attempt) -> datetime:
    callbacks = [
        each.received_at
        for each in story.stored_callbacks
        if each.verdict == Verdict.APPLIED and each.run == attempt.run
    ]
    known = [attempt.ended_at]
    if attempt.outcome == "pending":
        known += [poll.started_at for poll in story.poll_rows if poll.number == attempt.number]
    finished = [story.job.finished_at] if story.job.finished_at else []
    last = finished if attempt.run == story.job.run else []
    return min([max(known), *callbacks, *last])


CHECKS: Mapping[str, Callable[[History], Iterator[Finding]]] = {
    "more in flight than allowed": above_cap,
}
