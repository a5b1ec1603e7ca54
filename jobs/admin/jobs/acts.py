"""Retry and cancel: offered to users with the permission, confirmed on a page, and recorded in the
audit trail.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from audit.record import record
from jobs import lifecycle, operator_actions
from jobs.admin import formats, personal
from jobs.admin.access import require
from jobs.admin.actor import actor
from jobs.advice import advice_on
from jobs.console import console
from jobs.lifecycle import Move
from jobs.models import Job, Status
from jobs.queue.clock import redis_clock
from vendors.catalogue import catalogue

MAX_NAMED = 10
MAX_JOBS = 1000  # in one request
CHUNK = 100  # in one commit
LIST = "admin:jobs_job_changelist"


@dataclass(frozen=True)
class Action:
    name: str
    done: str
    consequence: str
    move: Callable[[Job, datetime], Move]
    each: Callable[..., list[bool]]
    needs_vendor: bool = False

    @property
    def permission(self) -> str:
        return f"jobs.{self.name}_job"

    def is_possible(self, job: Job, now: datetime) -> bool:
        return job.status in self.move(job, now).sources and not self.lacks_vendor(job)

    def lacks_vendor(self, job: Job) -> bool:
        return self.needs_vendor and catalogue.get(job.vendor) is None

    def do(self, jobs: Sequence[Job], now: datetime, note: operator_actions.Note) -> list[Job]:
        """Do it to several jobs, in one commit with its entries in the audit trail. Returns those
        for which it was possible.
        """
        jobs = [job for job in jobs if not self.lacks_vendor(job)]
        happened = self.each(jobs, now, note=note) if jobs else []
        return [job for job, yes in zip(jobs, happened, strict=True) if yes]


RETRY = Action(
    name="retry",
    done="retried",
    consequence="A retried job is queued for a new run, and its vendor is called again. "
    "Earlier attempts stay in its timeline.",
    move=lifecycle.retry,
    each=operator_actions.retry_each,
    needs_vendor=True,
)
CANCEL = Action(
    name="cancel",
    done="cancelled",
    consequence="A cancelled job ends without a result. "
    "A callback that still arrives for it is kept, but not applied.",
    move=lifecycle.cancel,
    each=operator_actions.cancel_each,
)
ACTIONS = {action.name: action for action in (RETRY, CANCEL)}


def find(ids: Iterable[str]) -> list[Job]:
    """Return the jobs with these ids, without their large columns."""
    return list(Job.objects.filter(pk__in=list(ids)[:MAX_JOBS]).defer("input", "result"))


def possible_acts(request: HttpRequest, job: Job) -> list[Action]:
    """Return what can be done with the job now, and may be done by the user."""
    now, may = redis_clock.now(), request.user.has_perm
    return [it for it in ACTIONS.values() if it.is_possible(job, now) and may(it.permission)]


def act_on_job(request: HttpRequest, job: Job, action: Action) -> HttpResponse:
    """GET: ask for confirmation. POST: act on the job."""
    require(request, action.permission)
    view = _act if request.method == "POST" else _ask
    return view(request, action, [job], page_of(job.pk))


def act_on_selected(request: HttpRequest, action: Action) -> HttpResponse:
    """POST: act on the jobs in `ids`; with `ask`, ask for confirmation first. `back`: the query of
    the list that they were selected in.
    """
    require(request, "jobs.view_job", action.permission)
    ids = " ".join(request.POST.getlist("ids")).split()
    jobs = find(ids)
    if len(ids) > MAX_JOBS:
        sentence = f"Only the first {MAX_JOBS:,} of {len(ids):,} jobs are taken at once."
        messages.warning(request, f"{sentence} For more, choose them by a filter.")
    back = request.POST.get("back", "")
    url = reverse(LIST) + (back if back.startswith("?") else "")
    if not jobs:
        return _none_found(request, url)
    return (_ask if "ask" in request.POST else _act)(request, action, jobs, url)


def _act(request: HttpRequest, action: Action, jobs: Sequence[Job], url: str) -> HttpResponse:
    now = redis_clock.now()
    reason, done = request.POST.get("reason", "").strip(), []

    def note(some: Sequence[Job]) -> None:
        for job in some:
            name, changes = f"job.{action.done}", ended_before(job)
            record(actor(request), name, f"job:{job.pk}", changes, reason=reason)

    for start in range(0, len(jobs), CHUNK):
        done += action.do(jobs[start : start + CHUNK], now, note)
    skipped = {job.pk for job in jobs} - {job.pk for job in done}
    sentence = f"{formats.counted(len(done), 'job')} {action.done}"
    if skipped:
        sentence += f", {len(skipped)} skipped: {reasons(action, find(skipped))}"
    level = messages.WARNING if skipped else messages.SUCCESS
    messages.add_message(request, level, f"{sentence}.")
    return HttpResponseRedirect(url)


def ended_before(job: Job) -> dict[str, list[Any]]:
    """Return how and when a job had ended that is retried, for the audit trail: its row forgets."""
    if not job.finished_at:
        return {}
    ended_at = job.finished_at.isoformat()
    return {"status": [job.status, Status.QUEUED.value], "finished_at": [ended_at, None]}


def _ask(request: HttpRequest, action: Action, jobs: Sequence[Job], url: str) -> HttpResponse:
    now = redis_clock.now()
    possible = [job for job in jobs if action.is_possible(job, now)]
    impossible = [job for job in jobs if not action.is_possible(job, now)]
    count = len(possible or jobs)
    these = "this job" if count == 1 else formats.counted(count, "job")
    named = [(job, personal.name_for(request, job.name)) for job in possible[:MAX_NAMED]]
    twice = [job for job in possible if advice_on(job.error_code).may_pay_twice and job.error_code]
    context = {
        "title": f"{action.name.capitalize()} {these}{'?' if possible else ''}",
        "action": action,
        "possible": possible,
        "named": named,
        "unnamed": len(possible[MAX_NAMED:]),
        "skipped": formats.counted(len(impossible), "job") if impossible else "",
        "reasons": reasons(action, impossible),
        "may_pay_twice": len(twice) if action is RETRY else 0,
        "back": url[url.find("?") :] if "?" in url else "",
        "act_url": _act_url(action, url),
        "back_url": url,
    }
    return TemplateResponse(
        request, "console/jobs/confirm.html", console.context(request, **context)
    )


def reasons(action: Action, jobs: Iterable[Job]) -> str:
    """Return why the action is impossible, for example '2 are complete, 1 is processing'."""
    counts: Counter[str] = Counter(
        "" if action.lacks_vendor(job) else str(job.status) for job in jobs
    )
    return ", ".join(_reason(status, count) for status, count in counts.most_common())


def _reason(status: str, count: int) -> str:
    if not status:
        return f"{count} belong{'s' if count == 1 else ''} to a vendor that no longer exists"
    return f"{count} {'is' if count == 1 else 'are'} {status}"


def page_of(job_id: str) -> str:
    """Return the URL of the job's page."""
    return reverse("admin:jobs_job_change", args=[job_id])


def _act_url(action: Action, url: str) -> str:
    is_list = url.partition("?")[0] == reverse(LIST)
    selected = reverse(f"admin:jobs_job_{action.name}_selected")
    return selected if is_list else f"{url.removesuffix('change/')}{action.name}/"


def _none_found(request: HttpRequest, url: str) -> HttpResponse:
    messages.warning(request, "No such job. It may have been pruned.")
    return HttpResponseRedirect(url)
