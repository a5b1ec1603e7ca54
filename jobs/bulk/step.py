"""Carries out bulk actions: a step of the sweep.

A step reads the next jobs in the order of their ids, among a bounded number that an index finds,
moves them in one commit, and then saves the
cursor and the counts by an update that happens only if the cursor is where the step began. What
was done is counted by the mark on the rows between both cursors. So whatever interrupts a step, the
next one counts its jobs as done and goes on with the others; and of two leaders, one saves.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from functools import partial

import redis
from django.db.models import QuerySet

from jobs.bulk import actions, holds
from jobs.bulk.course import Course
from jobs.bulk.entries import drop_cancelled
from jobs.bulk.kinds import (
    KINDS,
    OUTCOME_UNKNOWN,
    being_called,
    in_order,
    rows_of,
    window,
)
from jobs.models import BulkAction, BulkState, Job
from jobs.queue.backlog import backlog
from jobs.queue.clock import redis_clock
from jobs.storage import store
from jobs.storage.store import writing

log = logging.getLogger(__name__)

STEP = 200
WINDOW = 5000  # jobs that are searched for those of a step
COUNTED_AT_ONCE = 10_000  # jobs that are searched for those to count
CHUNK = 500  # of the sweep: there is more to do at once

courses: dict[str, Course] = {}  # of the unfinished actions, by id
_failing: set[str] = set()


def advance() -> int:
    """Do a bounded step of each vendor's oldest action. Returns CHUNK if there is more to do at
    once.
    """
    unfinished = list(actions.unfinished()[: actions.MAX_OPEN])
    first: dict[str, BulkAction] = {}
    for action in unfinished:
        first.setdefault(action.vendor, action)
    for pk in courses.keys() - {action.pk for action in unfinished}:
        del courses[pk]
    return CHUNK if any([_advance(action, first[action.vendor]) for action in unfinished]) else 0


def _advance(action: BulkAction, first: BulkAction) -> bool:
    """Advance one action, whatever is wrong with another one. Raises if the store is away."""
    course = courses.setdefault(action.pk, Course())
    try:
        has_more = _step(action, first, course)
    except Exception as error:
        if isinstance(error, store.STORE_ERRORS) and not store.refuses(error):
            raise
        if isinstance(error, redis.RedisError) and not isinstance(error, redis.ResponseError):
            raise
        if action.pk not in _failing:
            log.error("bulk action %s can't be advanced: %s", action.pk, type(error).__name__)
        _failing.add(action.pk)
        why = type(error).__name__
        _hold(action, f"It can't go on: {why}. Cancel it, and see the log of the workers.")
        return False
    _failing.discard(action.pk)
    return has_more


def _step(action: BulkAction, first: BulkAction, course: Course) -> bool:
    if action.state != BulkState.RUNNING:
        _settle(action)
        return False
    if first is not action:
        _hold(action, f"Waits for the end of the bulk action {first.pk} of the same vendor.")
        return False
    if action.planned_is_bound:
        _count_on(action, course)
    if action.kind == "retry" and (held_by := holds.of_vendor(action.vendor)):
        _hold(action, held_by)
        return False
    room = holds.room(action, course) if action.kind == "retry" else STEP
    if room <= 0:
        _hold(action, holds.of_queue(action, course))
        return False
    permitted = course.permitted(action.per_second, min(room, STEP))
    return bool(permitted) and _move(action, course, permitted)


def _move(action: BulkAction, course: Course, limit: int) -> bool:
    """Move the next jobs. Returns whether there may be more to do at once."""
    kind, now = KINDS[action.kind], redis_clock.now()
    rows = rows_of(action)
    end = window(rows, action.cursor, WINDOW)
    found = in_order(rows, action.cursor, end, limit)
    chosen = [job for job in found if job.bulk != action.pk and not _is_left_out(action, job)]
    try:
        check = partial(_check, action)
        happened = kind.each(chosen, now, action.pk, check) if chosen else []
    except NotRunningError:
        return False
    is_cut = len(found) == limit
    is_last = not is_cut and not end
    moved = [job for job, yes in zip(chosen, happened, strict=True) if yes]
    course.note(moved, they_wait=action.kind == "retry")
    if moved and action.kind == "cancel":
        drop_cancelled(action.vendor)
    elif moved:
        backlog.forget()  # the next step must see them in the queue
    cursor = found[-1].pk if is_cut else end
    _save(action, found, cursor or action.cursor, is_last=is_last, course=course)
    return not is_last


class NotRunningError(Exception):
    """Somebody has paused or cancelled the action since it was read."""


def _check(action: BulkAction, _: Sequence[Job]) -> None:
    """Raise NotRunningError in that case: its jobs stay as they are. On MongoDB this comes just
    before the commit and not in it.
    """
    if not BulkAction.objects.filter(pk=action.pk, state=BulkState.RUNNING).exists():
        raise NotRunningError


def _is_left_out(action: BulkAction, job: Job) -> bool:
    return job.error_code == OUTCOME_UNKNOWN and not action.repeats_unknown


def _save(
    action: BulkAction, found: list[Job], cursor: str, *, is_last: bool, course: Course
) -> None:
    """Save the cursor behind the jobs of a step, with what is done by then."""
    # The last step leaves none behind: those that an interrupted one had moved may be the last.
    marked = _marked(action) if is_last else _marked(action).filter(pk__lte=cursor)
    ids = set(marked.values_list("pk", flat=True))
    skipped = Counter(action.skipped) + Counter(_reasons(action, found, ids))
    skipped["processing"] += _being_called(action, "" if is_last else cursor, found)
    saved: dict[str, object] = {
        "cursor": max([cursor, *ids, *(job.pk for job in found)]),
        "done": action.done + len(ids),
        "skipped": dict(+skipped),
        "per_minute": course.per_minute(),
        "held_by": "",
    }
    if is_last:
        _finish(action, saved)
    else:
        with writing():
            _as_read(action).update(**saved)


def _as_read(action: BulkAction) -> "QuerySet[BulkAction]":
    """Return the row if it stands where it was read. Whether somebody has paused or cancelled it
    since does not matter: what is done counts.
    """
    return BulkAction.objects.filter(pk=action.pk, cursor=action.cursor, finished_at=None)


def _finish(action: BulkAction, saved: dict[str, object]) -> None:
    """End an action in two commits: a crash between them leaves one to do."""
    with writing():
        running = _as_read(action).filter(state=BulkState.RUNNING)
        is_done = running.update(**{**saved, "state": BulkState.DONE, "per_minute": None})
    if is_done:
        action.refresh_from_db()
        _end(action)


def _end(action: BulkAction) -> None:
    with writing():
        actions.note_end(action)
        rows = BulkAction.objects.filter(pk=action.pk, finished_at=None)
        rows.update(finished_at=redis_clock.now())


def _settle(action: BulkAction) -> None:
    """End an action that does not go on, unless it is paused. Of a cancelled one, count what a
    step had moved that was interrupted.
    """
    if action.state == BulkState.DONE:  # interrupted before its end was recorded
        _end(action)
    if action.state != BulkState.CANCELLED:
        return
    ids = list(_marked(action).values_list("pk", flat=True))
    saved = {"done": action.done + len(ids), "cursor": max([action.cursor, *ids])}
    with writing():
        _as_read(action).update(**saved, finished_at=redis_clock.now())


def _marked(action: BulkAction) -> "QuerySet[Job]":
    """Return the jobs behind the cursor that the action has moved."""
    return Job.objects.filter(bulk=action.pk, bulk__gt="", pk__gt=action.cursor)


def _reasons(action: BulkAction, found: list[Job], done: set[str]) -> list[str]:
    """Return for each job that was not moved why: it is left out, or its status by now."""
    others = [job for job in found if job.pk not in done]
    left_out = [job for job in others if _is_left_out(action, job)]
    moved_on = [job.pk for job in others if not _is_left_out(action, job)]
    rows = Job.objects.filter(pk__in=moved_on) if moved_on else Job.objects.none()
    statuses = dict(rows.values_list("pk", "status"))
    return [OUTCOME_UNKNOWN] * len(left_out) + [statuses.get(pk, "pruned") for pk in moved_on]


def _being_called(action: BulkAction, until: str, found: list[Job]) -> int:
    """Return how many of the chosen jobs, up to an id, can't be cancelled because they are being
    called. Not those that were found before they were called: they have their reason.
    """
    called = being_called(action).filter(pk__gt=action.cursor)
    called = called.exclude(pk__in=[job.pk for job in found])
    return (called.filter(pk__lte=until) if until else called).count()


def _hold(action: BulkAction, sentence: str) -> None:
    if sentence != action.held_by:
        rows = BulkAction.objects.filter(pk=action.pk, state=BulkState.RUNNING)
        with writing():
            rows.update(held_by=sentence[:500], per_minute=None)


def _count_on(action: BulkAction, course: Course) -> None:
    """Go on counting the jobs ahead of the cursor, of which the plan has counted only the first."""
    if course.counted_to is None:
        course.counted = action.done + sum(action.skipped.values())
        course.counted_to = action.cursor
    rows = rows_of(action)
    end = window(rows, course.counted_to, COUNTED_AT_ONCE)
    course.counted += sum(each.within(course.counted_to, end).count() for each in rows)
    course.counted_to, is_all = end, not end
    if is_all or course.counted > action.planned:
        bound = BulkAction.objects.filter(pk=action.pk, planned_is_bound=True)
        with writing():
            bound.update(planned=course.counted, planned_is_bound=not is_all)
