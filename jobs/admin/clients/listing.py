"""The base of Django's list of API keys: newest first, with few filters, and no edits."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import (
    ALL_VAR,
    ERROR_FLAG,
    ORDER_VAR,
    PAGE_VAR,
    SEARCH_VAR,
    ChangeList,
)
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

LIST_PARAMETERS = {ALL_VAR, ERROR_FLAG, ORDER_VAR, PAGE_VAR, SEARCH_VAR, "_changelist_filters"}


class NewestFirst(ChangeList):
    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return ["-id"]


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no type argument at run time
    """Rows that can be viewed, but not added, changed or deleted."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    sortable_by = ()
    lookups: tuple[str, ...] = ()  # what the URL may filter by

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NewestFirst

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        unknown = set(request.GET) - {*self.lookups, *LIST_PARAMETERS}
        if unknown and request.method != "POST":
            return self._redirect_without(request, unknown)
        title = {"title": str(self.opts.verbose_name_plural).capitalize()}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def _redirect_without(self, request: HttpRequest, unknown: set[str]) -> HttpResponse:
        """Redirect to the list without the unknown parameters."""
        params = request.GET.copy()
        for name in sorted(unknown):
            del params[name]
            messages.warning(request, f"This list has no filter {name[:50]!r}.")
        return HttpResponseRedirect(f"{request.path}?{params.urlencode()}")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # Django would allow filters by any column.
        return lookup in self.lookups

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
