"""What the API promises its clients: a repeated request creates no second job, and no client sees
the jobs of another.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime

from chaos import waits
from chaos.api import is_certain
from chaos.history import Finding, History, Story
from chaos.probes import Probed
from chaos.submissions import client_of
from jobs.models import Status

POSTS = ("replay", "other_body")  # the probes that might create a job
EXPIRED = "expired"
MARGIN_SECONDS = 1.0


def doubled(history: History) -> Iterator[Finding]:
    """More than one job for what a client meant as one."""
    ids = defaultdict(set)
    for job_id, story in history.stories.items():
        ids[story.serial].add(job_id)
    answers = [(posted.serial, posted.job_id) for posted in history.posted]
    answers += [(each.serial, each.got_id) for each in history.probed if each.kind in POSTS]
    for serial, job_id in answers:
        if job_id:
            ids[serial].add(job_id)
    for serial, found in ids.items():
        if len(found) > 1:
            yield max(found), f"job {serial} has {len(found)} ids: {', '.join(sorted(found))}"


def wrong_replays(history: History) -> Iterator[Finding]:
    """Repeated requests that were not answered with the first job, and not as a replay."""
    for probed in _answered(history, "replay"):
        if (probed.answer, probed.got_id, probed.is_replay) != ("202", probed.job_id, True):
            words = f"{probed.answer} {probed.got_id}{' as a replay' * probed.is_replay}"
            yield probed.job_id, f"the same request again was answered {words}"
    for probed in _answered(history, "other_body"):
        if probed.answer != "422":
            yield probed.job_id, f"its key with another body was answered {probed.answer}"


def foreign_seen(history: History) -> Iterator[Finding]:
    """Jobs that another client could see or cancel, or that belong to another client."""
    for job_id, story in history.stories.items():
        if story.job.client != client_of(story.serial):
            yield job_id, f"belongs to {story.job.client}, not to {client_of(story.serial)}"
    for probed in _answered(history, "foreign_job"):
        if probed.answer != "404":
            yield probed.job_id, f"another client's request was answered {probed.answer}"
    for probed in _answered(history, "list"):
        if probed.got_id:
            yield probed.got_id, f"was listed for {client_of(probed.serial)}"


def never_accepted(history: History) -> Iterator[Finding]:
    """Requests that were not accepted in the end, or refused for what they are."""
    accepted = {posted.serial for posted in history.posted if posted.job_id}
    last = {posted.serial: posted for posted in history.posted}
    for serial, posted in last.items():
        if serial not in accepted:
            yield "none", f"job {serial} was never accepted: at last {posted.answer}"


def out_of_time(history: History) -> Iterator[Finding]:
    """Jobs that started before they might, or too late, or that expired without need."""
    for job_id, story in history.stories.items():
        options = story.posted.options if story.posted else {}
        # A later run was asked for, and does not expire.
        starts = [each.started_at.timestamp() for each in story.attempts_of(1)]
        started_at = min(starts, default=None)
        called_at = min((each.at for each in story.arrivals), default=None)
        due_at = _timestamp(options.get("not_before"))
        expires_at = story.job.created_at.timestamp() + options.get("expires_in", float("inf"))
        if called_at and called_at < due_at:
            yield job_id, f"was called {due_at - called_at:.1f} s too early"
        if started_at and started_at > expires_at + MARGIN_SECONDS:
            yield job_id, f"started {started_at - expires_at:.1f} s after it had expired"
        if story.job.error_code == EXPIRED:
            yield from _wrong_expiry(story)


def _wrong_expiry(story: Story) -> Iterator[Finding]:
    job, request = story.job, story.requests[0]
    if job.status != Status.FAILED or story.arrivals:
        yield job.pk, f"expired, but is {job.status} after {len(story.arrivals)} calls"
    expires_at = request.at + request.options.get("expires_in", float("inf"))
    if job.finished_at and job.finished_at.timestamp() < expires_at:
        yield job.pk, "expired too early, or was not to expire at all"


def overdue_waits(history: History) -> Iterator[Finding]:
    """Waiters that were not answered in time."""
    troubles = [(each.began, each.ended) for each in history.journal.troubles]
    yield from waits.overdue(history.waits, troubles)


def wrong_waits(history: History) -> Iterator[Finding]:
    """Waiters that were answered before the end, as if it had come."""
    yield from waits.wrong(history.waits)


def _answered(history: History, kind: str) -> Iterator[Probed]:
    """Yield the probes of a kind that the service has decided about."""
    return (each for each in history.probed if each.kind == kind and is_certain(each.answer))


def _timestamp(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


CHECKS: dict[str, Callable[[History], Iterator[Finding]]] = {
    "doubled jobs": doubled,
    "wrong replays": wrong_replays,
    "foreign jobs seen": foreign_seen,
    "never accepted": never_accepted,
    "started or expired at a wrong time": out_of_time,
    "waiters overdue": overdue_waits,
    "waiters answered before the end": wrong_waits,
}
