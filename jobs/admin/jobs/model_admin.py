"""Jobs in Django's admin, which gives their pages their URLs and names."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from jobs.admin.jobs import edit, listing, page
from jobs.admin.jobs.acts import ACTIONS, act_on_job, act_on_selected
from jobs.admin.lists.read_only import ReadOnlyAdmin
from jobs.models import Job


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        # Read only if they are shown.
        return super().get_queryset(request).defer("input", "result", "metadata")

    def list_of(self, request: HttpRequest) -> HttpResponse:
        return listing.changelist(request)

    def show(self, request: HttpRequest, row: Any) -> HttpResponse:
        return page.show(request, row)

    def get_urls(self) -> list[URLPattern]:
        views = {"show": page.show_personal_data, "edit": edit.edit}
        views |= {name: partial(act_on_job, action=it) for name, it in ACTIONS.items()}
        selected = [
            path(
                f"{name}/",
                self.admin_site.admin_view(partial(act_on_selected, action=action)),
                name=f"jobs_job_{name}_selected",
            )
            for name, action in ACTIONS.items()
        ]
        return [*selected, *self.row_urls(views), *super().get_urls()]
