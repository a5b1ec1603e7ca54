"""The base of models whose rows the console shows with pages of its own."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from jobs.admin.access import require

RowView = Callable[[HttpRequest, Any], HttpResponse]


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no type argument at run time
    """Rows that can be viewed, but not added, changed or deleted."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._require(request)
        return self.list_of(request)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if request.method == "POST":
            raise PermissionDenied
        return self.of_row(request, object_id, self.show)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """Redirect to the page: what was done to the row stands there, and in the audit trail."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_change"
        return HttpResponseRedirect(reverse(name, args=[unquote(object_id)]))

    def of_row(self, request: HttpRequest, object_id: str, view: RowView) -> HttpResponse:
        """Return what the view answers for the row. Raises Http404 if there is none."""
        self._require(request)
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        return view(request, row)

    def row_urls(self, views: Mapping[str, RowView]) -> list[URLPattern]:
        """Return the URLs of views of a row, such as jobs_job_edit for `edit`."""
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(partial(self.of_row, view=view)),
                name=f"{prefix}_{name}",
            )
            for name, view in views.items()
        ]

    def list_of(self, request: HttpRequest) -> HttpResponse:
        """Answer the list."""
        raise NotImplementedError

    def show(self, request: HttpRequest, row: Any) -> HttpResponse:
        """Answer the page of one row."""
        raise NotImplementedError

    def _require(self, request: HttpRequest) -> None:
        require(request, f"{self.opts.app_label}.view_{self.opts.model_name}")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
