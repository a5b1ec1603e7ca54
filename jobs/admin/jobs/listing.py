"""The list of jobs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString

from jobs.admin import formats, personal
from jobs.admin.jobs.acts import ACTIONS
from jobs.admin.jobs.filters import filters_of, searches
from jobs.admin.jobs.rows import newer_than, page_of
from jobs.admin.lists.fields import unknown_filters
from jobs.admin.lists.page import PER_PAGE, Page, number
from jobs.admin.page import reader
from jobs.choice import Choice, ChoiceError
from jobs.console import console
from jobs.models import Job, Status
from jobs.models.job import time_of
from jobs.queue.clock import redis_clock
from jobs.queue.held.hold import hold_of_job
from jobs.queue.held.recent import recent_holds

ALIASES = {"status__exact": "status"}  # links kept from earlier releases
POSITION = ("before", "start", "newest", "id")
REFRESH_SECONDS = 15
SHORT_ID = 12  # characters of an id that a list shows
MAX_NEWER = PER_PAGE


@dataclass(frozen=True)
class Row:
    """A job as the list shows it. `latest`: what it is doing, or what came of it."""

    job: Job
    short_id: str
    badge: SafeString
    name: str | SafeString
    latest: str


def changelist(request: HttpRequest) -> HttpResponse:
    """Answer the list. Its filters stand in the URL."""
    if aliased := set(ALIASES) & set(request.GET):
        return _redirect(request, aliased)
    filters, problems = filters_of(request), []
    try:
        choice = Choice.from_query(request.GET)
    except ChoiceError as error:
        choice, problems = None, error.problems
    known = {*(field.name for field in filters.fields), *POSITION}
    problems += unknown_filters(request, known)
    if choice:
        choice = replace(choice, zone=reader.zone(request.COOKIES))
    searched = choice and replace(choice, by_name=personal.may_see(request))
    before, start = request.GET.get("before", ""), number(request.GET.get("start", ""))
    page = page_of(searched, before, start) if searched else Page()
    if searched and (found := _sought(searched, page)):
        return HttpResponseRedirect(reverse("admin:jobs_job_change", args=[found]))
    context = {
        "title": "Jobs",
        "filters": filters,
        "problems": problems,
        "page": page,
        "rows": rows_of(request, page.rows),
        "shows_clients": len(filters.named("client").options) > 1,
        "actions": _possible(request, page.rows),
        "searches": searches(request) if choice and choice.q else "",
        "bulk": [] if choice is None else bulk_links(request, choice),
        "back": filters.query(before=before, start=start if before else None),
        "is_first": not before,
        "searched_back_to": time_of(page.further) if page.further else None,
        "refresh_seconds": REFRESH_SECONDS,
        **_newer(request, searched, page, before),
    }
    context = console.context(request, **context)
    return TemplateResponse(request, "console/jobs/list.html", context)


def _sought(choice: Choice, page: Page) -> str:
    """Return the id of the one job that was searched for, by its id or the end of it."""
    digits = choice.q.removeprefix("…").replace("-", "").lower()
    is_alone = choice == Choice(q=choice.q, by_name=choice.by_name) and len(page.rows) == 1
    if not is_alone or len(digits) < SHORT_ID:
        return ""
    found: str = page.rows[0].pk
    return found if found.replace("-", "").endswith(digits) else ""


def rows_of(request: HttpRequest, jobs: Iterable[Job]) -> list[Row]:
    """Return the jobs as a list shows them to this user."""
    jobs = list(jobs)
    holds, now = recent_holds.of({job.vendor for job in jobs if job.status == Status.QUEUED}), None
    now = redis_clock.now()
    return [
        Row(
            job,
            job.pk[-SHORT_ID:],
            formats.badge(job.status),
            personal.name_for(request, job.name),
            personal.without_name(request, job, _latest(job, holds, now)),
        )
        for job in jobs
    ]


def _latest(job: Job, holds: dict[str, Any], now: datetime) -> str:
    match job.status:
        case Status.QUEUED:
            hold = hold_of_job(job.not_before, holds.get(job.vendor), now)
            return hold.message if hold else ""
        case Status.PROCESSING:
            return f"on {job.worker}"
        case Status.WAITING:
            return f"due by {job.deadline_at:%Y-%m-%d %H:%M:%S} UTC" if job.deadline_at else ""
    return job.error_message or ("no data" if job.outcome == "no_data" else "")


def bulk_links(request: HttpRequest, choice: Choice) -> list[tuple[str, str]]:
    """Return the labels and URLs of what can be done to all jobs that match."""
    may = request.user.has_perm
    if choice.q or not may("jobs.run_bulkaction"):
        return []
    kinds = []
    if choice.error_code or choice.status in (Status.FAILED, Status.CANCELLED):
        kinds.append(("retry", "Retry all that match…"))
    if choice.status in (Status.QUEUED, Status.WAITING) or choice.waiting_over:
        kinds.append(("cancel", "Cancel all that match…"))
    try:
        plan = reverse("admin:bulk_plan")
    except NoReverseMatch:
        return []
    return [
        (label, f"{plan}?kind={kind}&{choice.as_query()}")
        for kind, label in kinds
        if may(f"jobs.{kind}_job")
    ]


def _possible(request: HttpRequest, jobs: Iterable[Job]) -> list[str]:
    """Return what the reader may do to some of the jobs."""
    now = redis_clock.now()
    return [
        name
        for name, action in ACTIONS.items()
        if request.user.has_perm(action.permission)
        and any(action.is_possible(job, now) for job in jobs)
    ]


def _newer(request: HttpRequest, choice: Choice | None, page: Page, before: str) -> dict[str, Any]:
    """Return how many jobs have come since the page was first shown. A reader's page is refreshed
    with the first id that it shows in `newest`, and its rows stay as they are.
    """
    newest = request.GET.get("newest", "")
    if choice is None or before or choice.q or choice.batch or not page.rows:
        return {"newer": 0, "newest": ""}
    newer = newer_than(choice, newest) if newest and newest != page.rows[0].pk else 0
    more = "+" if newer > MAX_NEWER else ""
    return {
        "newer": f"{min(newer, MAX_NEWER)}{more}" if newer else 0,
        "newest": newest or page.rows[0].pk,
    }


def _redirect(request: HttpRequest, aliased: Iterable[str]) -> HttpResponse:
    params = request.GET.copy()
    for name in aliased:
        params[ALIASES[name]] = params.pop(name)[-1]
    return HttpResponseRedirect(f"{request.path}?{params.urlencode()}")
