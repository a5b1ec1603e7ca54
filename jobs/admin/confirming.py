"""Retry and cancel in the console: offered to those who may, asked about on a page of their own,
then done and reported.
"""

from functools import partial

from django.contrib import admin, messages
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from jobs.admin import actions, shown
from jobs.admin.actions import ACTIONS, CANCEL, RETRY, Action
from jobs.admin.listing import MAX_LISTED, ReadOnlyAdmin
from jobs.models import Job

MAX_NAMED = 10


class ConfirmingAdmin(ReadOnlyAdmin):
    actions = ("retry_jobs", "cancel_jobs")

    def _permits(self, request: HttpRequest, action: Action) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(
            f"jobs.{action.name}_job"
        )

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
        """Return the names and addresses of what may be done to the job as it is now."""
        possible = [
            action for action in ACTIONS.values() if action.is_possible(job, timezone.now())
        ]
        permitted = [action for action in possible if self._permits(request, action)]
        return [(action.name, self._act_url(request, action, job.pk)) for action in permitted]

    def get_urls(self) -> list[URLPattern]:
        ours = []
        for action in ACTIONS.values():
            view = self.admin_site.admin_view(partial(self._act, action=action))
            ours.append(path(f"{action.name}/", view, name=f"jobs_job_{action.name}_selected"))
            ours.append(
                path(f"<path:object_id>/{action.name}/", view, name=f"jobs_job_{action.name}")
            )
        return [*ours, *super().get_urls()]

    def _act(self, request: HttpRequest, action: Action, object_id: str = "") -> HttpResponse:
        """Ask about the job that the address names; or do it to that job, or to those posted as
        `ids`.
        """
        if not self._permits(request, action):
            raise PermissionDenied
        object_id = unquote(object_id)
        jobs = actions.find([object_id] if object_id else request.POST.get("ids", "").split())
        if not jobs:
            messages.warning(request, "There is no such job.")
            return HttpResponseRedirect(self._list_url(request))
        if request.method != "POST":
            return self._ask(request, action, jobs, object_id)
        report = actions.run(action, jobs, request.user, timezone.now())
        messages.add_message(
            request, messages.WARNING if report.skipped else messages.SUCCESS, report.sentence
        )
        return HttpResponseRedirect(self._back_url(request, object_id))

    def _ask(
        self, request: HttpRequest, action: Action, jobs: list[Job], object_id: str = ""
    ) -> HttpResponse:
        now = timezone.now()
        possible = [job for job in jobs if action.is_possible(job, now)]
        skipped = [job for job in jobs if not action.is_possible(job, now)]
        context = {
            **self.admin_site.each_context(request),
            "title": f"{action.name.capitalize()} {_counted(possible or jobs)}{'?' if possible else ''}",
            "opts": self.opts,
            "action": action,
            "possible": possible,
            "named": [
                (job, self._job_url(job.pk), shown.badge(job.status))
                for job in possible[:MAX_NAMED]
            ],
            "unnamed": len(possible[MAX_NAMED:]),
            "skipped": len(skipped),
            "reasons": actions.reasons(action, skipped),
            "is_cut": len(jobs) == MAX_LISTED,
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
        return add_preserved_filters(
            {"preserved_filters": self.get_preserved_filters(request), "opts": self.opts}, url
        )


def _counted(jobs: list[Job]) -> str:
    return "this job" if len(jobs) == 1 else f"{len(jobs):,} jobs"
