"""Retry and cancel in the console: offered to users with the permission, confirmed on a page, and
recorded in the job's history.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from jobs import lifecycle, operator_actions
from jobs.admin import formats
from jobs.admin.listing import MAX_LISTED, ReadOnlyAdmin
from jobs.lifecycle import Move
from jobs.models import Job
from jobs.queue.clock import redis_clock
from vendors.catalogue import catalogue

MAX_NAMED = 10


@dataclass(frozen=True)
class Action:
    name: str
    done: str
    consequence: str
    move: Callable[[Job, datetime], Move]
    act: Callable[[Job, datetime], bool]
    needs_vendor: bool = False

    def is_possible(self, job: Job, now: datetime) -> bool:
        return job.status in self.move(job, now).sources and not self.lacks_vendor(job)

    def lacks_vendor(self, job: Job) -> bool:
        return self.needs_vendor and catalogue.get(job.vendor) is None

    def do(self, job: Job, now: datetime) -> bool:
        """Do it. False: it is not, or no longer, possible, and nothing was changed."""
        return not self.lacks_vendor(job) and self.act(job, now)


RETRY = Action(
    name="retry",
    done="retried",
    consequence="A retried job is queued for a new run, and its vendor is called again. "
    "Earlier attempts stay in its history.",
    move=lifecycle.retry,
    act=operator_actions.retry,
    needs_vendor=True,
)
CANCEL = Action(
    name="cancel",
    done="cancelled",
    consequence="A cancelled job ends without a result. "
    "A callback that still arrives for it is kept, but not applied.",
    move=lifecycle.cancel,
    act=operator_actions.cancel,
)
ACTIONS = {action.name: action for action in (RETRY, CANCEL)}


def find(ids: Iterable[str]) -> list[Job]:
    """Return the jobs with these ids, without their large columns."""
    return list(Job.objects.filter(pk__in=list(ids)[:MAX_LISTED]).defer("input", "result"))


def run(action: Action, jobs: Sequence[Job], user: Any) -> tuple[str, bool]:
    """Do it to each job and record who did. Return a sentence, and whether jobs were skipped."""
    now = redis_clock.now()
    done = [job for job in jobs if action.do(job, now)]
    LogEntry.objects.log_actions(user.pk, done, CHANGE, f"{action.done.capitalize()}.")
    skipped = {job.pk for job in jobs} - {job.pk for job in done}
    sentence = f"{formats.counted(len(done), 'job')} {action.done}"
    if skipped:
        sentence += f", {len(skipped)} skipped: {reasons(action, find(skipped))}"
    return f"{sentence}.", bool(skipped)


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


class JobActionsAdmin(ReadOnlyAdmin):
    actions = ("retry_jobs", "cancel_jobs")

    def _permits(self, request: HttpRequest, action: Action) -> bool:
        may_act = request.user.has_perm(f"jobs.{action.name}_job")
        return self.has_view_permission(request) and may_act

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return self._permits(request, RETRY)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        return self._permits(request, CANCEL)

    @admin.action(permissions=["retry"], description="Retry selected jobs")
    def retry_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse:
        return self._ask(request, RETRY, list(queryset[:MAX_LISTED]))

    @admin.action(permissions=["cancel"], description="Cancel selected jobs")
    def cancel_jobs(self, request: HttpRequest, queryset: QuerySet[Job]) -> HttpResponse:
        return self._ask(request, CANCEL, list(queryset[:MAX_LISTED]))

    def buttons(self, request: HttpRequest, job: Job) -> list[tuple[str, str]]:
        """Return the names and URLs of the actions that are possible and permitted now."""
        now = redis_clock.now()
        return [
            (action.name, self._act_url(request, action, job.pk))
            for action in ACTIONS.values()
            if action.is_possible(job, now) and self._permits(request, action)
        ]

    def get_urls(self) -> list[URLPattern]:
        ours = []
        for name, action in ACTIONS.items():
            view = self.admin_site.admin_view(partial(self._act, action=action))
            ours.append(path(f"{name}/", view, name=f"jobs_job_{name}_selected"))
            ours.append(path(f"<path:object_id>/{name}/", view, name=f"jobs_job_{name}"))
        return [*ours, *super().get_urls()]

    def _act(self, request: HttpRequest, action: Action, object_id: str = "") -> HttpResponse:
        """GET: ask for confirmation. POST: act on the job in the URL, or on those in `ids`."""
        if not self._permits(request, action):
            raise PermissionDenied
        object_id = unquote(object_id)
        jobs = find([object_id] if object_id else request.POST.get("ids", "").split())
        if not jobs:
            messages.warning(request, "No such job. It may have been pruned.")
            return HttpResponseRedirect(self._list_url(request))
        if request.method != "POST":
            return self._ask(request, action, jobs, object_id)
        sentence, has_skipped = run(action, jobs, request.user)
        level = messages.WARNING if has_skipped else messages.SUCCESS
        messages.add_message(request, level, sentence)
        return HttpResponseRedirect(self._back_url(request, object_id))

    def _ask(
        self, request: HttpRequest, action: Action, jobs: list[Job], object_id: str = ""
    ) -> HttpResponse:
        now = redis_clock.now()
        possible = [job for job in jobs if action.is_possible(job, now)]
        skipped = [job for job in jobs if not action.is_possible(job, now)]
        named = [
            (job, self._job_url(job.pk), formats.badge(job.status)) for job in possible[:MAX_NAMED]
        ]
        count = len(possible or jobs)
        these = "this job" if count == 1 else formats.counted(count, "job")
        context = {
            **self.admin_site.each_context(request),
            "title": f"{action.name.capitalize()} {these}{'?' if possible else ''}",
            "opts": self.opts,
            "action": action,
            "possible": possible,
            "named": named,
            "unnamed": len(possible[MAX_NAMED:]),
            "skipped": formats.counted(len(skipped), "job") if skipped else "",
            "reasons": reasons(action, skipped),
            "max_jobs": MAX_LISTED if len(jobs) == MAX_LISTED else 0,
            "act_url": self._act_url(request, action, object_id),
            "back_url": self._back_url(request, object_id),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/jobs/job/confirm.html", context)

    def _act_url(self, request: HttpRequest, action: Action, object_id: str) -> str:
        name = f"admin:jobs_job_{action.name}"
        url = reverse(name, args=[quote(object_id)]) if object_id else reverse(f"{name}_selected")
        return self._with_filters(request, url)

    def _back_url(self, request: HttpRequest, object_id: str) -> str:
        return self._job_url(object_id) if object_id else self._list_url(request)

    def _job_url(self, object_id: str) -> str:
        return reverse("admin:jobs_job_change", args=[quote(object_id)])

    def _list_url(self, request: HttpRequest) -> str:
        return self._with_filters(request, reverse("admin:jobs_job_changelist"))

    def _with_filters(self, request: HttpRequest, url: str) -> str:
        preserved = self.get_preserved_filters(request)
        return add_preserved_filters({"preserved_filters": preserved, "opts": self.opts}, url)
