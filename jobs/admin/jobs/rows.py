"""The jobs on a page of the list."""

from typing import Any

from django.db.models import QuerySet

from jobs.admin.lists import page as pages
from jobs.admin.lists.page import MAX_COUNTED, PER_PAGE, Page, count, cut, end_of_window
from jobs.choice import Choice
from jobs.models import Job

MAX_FOUND = 1000  # by a search


def page_of(choice: Choice, before: str = "", first: int = 1) -> Page:
    """Return the page of the jobs that come after the position `before`; '' for the newest."""
    fixed = choice.fixed()
    if fixed.q:
        return _searched(fixed, before, first)
    if fixed.batch:
        return _of_batch(fixed, before, first)
    return _newest(fixed, before, first) if fixed.has_own_index else _window(fixed, before)


def newer_than(choice: Choice, job_id: str) -> int:
    """Return how many jobs have come since this one, up to PER_PAGE + 1."""
    newer = choice.fixed().jobs().filter(pk__gt=job_id).order_by("-pk")
    return newer[: PER_PAGE + 1].count()


def _newest(choice: Choice, before: str, first: int) -> Page:
    parts = [part.jobs() for part in choice.parts()]
    rows, older = cut(_merged([_before(jobs, before) for jobs in parts]), _id)
    return Page(rows, older, min(sum(map(count, parts)), MAX_COUNTED), first)


def _window(choice: Choice, before: str) -> Page:
    """Search the next WINDOW jobs by the index of some of the filters, whatever is found."""
    end = max(end_of_window(part.leading(), before) for part in choice.parts())
    parts = [_before(part.jobs(), before).filter(pk__gte=end) for part in choice.parts()]
    rows, older = cut(_merged(parts), _id)
    number = min(sum(map(count, parts)), MAX_COUNTED)
    return Page(rows, older, number, looked_at=pages.WINDOW, further=end)


def _searched(choice: Choice, before: str, first: int) -> Page:
    ids = list(choice.jobs().values_list("pk", flat=True)[:MAX_FOUND])
    jobs = Job.objects.filter(pk__in=ids).defer("input", "result", "metadata")
    rows, older = cut(_merged([_before(jobs, before)]), _id)
    return Page(rows, older, len(ids), first, max_count=MAX_FOUND)


def _of_batch(choice: Choice, before: str, first: int) -> Page:
    """Return items of a batch, the last one first: its index is in this order."""
    jobs = choice.jobs()
    after = jobs.filter(batch_index__lt=int(before)) if before.isdecimal() else jobs
    found = list(after.order_by("-batch_index")[: PER_PAGE + 1])
    rows, older = cut(found, lambda job: str(job.batch_index))
    return Page(rows, older, count(jobs), first)


def _before(jobs: QuerySet[Job], before: str) -> QuerySet[Job]:
    return jobs.filter(pk__lt=before) if before else jobs


def _merged(parts: list[QuerySet[Job]]) -> list[Job]:
    found = [job for jobs in parts for job in jobs.order_by("-pk")[: PER_PAGE + 1]]
    return sorted(found, key=_id, reverse=True)[: PER_PAGE + 1]


def _id(job: Any) -> str:
    return str(job.pk)
