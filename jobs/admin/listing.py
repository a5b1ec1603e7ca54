"""What the console's lists share: each is read in the order of an index, and nothing is counted
further than it is shown.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
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
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone
from django.utils.functional import cached_property

from jobs.api.pagination import first_id_at
from vendors.catalogue import catalogue

MAX_LISTED = 1000
OF_LISTS = {ALL_VAR, ERROR_FLAG, ORDER_VAR, PAGE_VAR, SEARCH_VAR, "_changelist_filters"}


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # it takes no type argument at run time
    """Counts up to MAX_LISTED rows: to count all of a large table takes seconds."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        # Without an order, so that the store may use whatever index finds them.
        return rows.order_by()[:MAX_LISTED].count()

    @property
    def is_cut(self) -> bool:
        return self.count >= MAX_LISTED


class Listing(ChangeList):
    """Newest first, whatever the query string asks for: any other order would sort the whole table."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return ["-id"]

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        return super().get_queryset(request, exclude_parameters).defer(*self.model_admin.large)  # type: ignore[attr-defined]

    @property
    def older(self) -> str:
        """The query string of the list that goes on after this page; empty where a search gives the
        order.
        """
        return (
            "" if self.query else self.get_query_string({"id__lt": list(self.result_list)[-1].pk})
        )


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # likewise
    """Rows that are looked at: nobody adds, changes or deletes them by hand."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    sortable_by = ()
    lookups: tuple[str, ...] = ()  # what the address may filter by
    aliases: Mapping[str, str] = {}  # and what people type for it
    large: tuple[str, ...] = ()  # columns that a list leaves alone

    class Media:
        css = {"all": ["jobs/console.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Listing

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        typed = set(request.GET) - {*self.lookups, *OF_LISTS}
        if typed and request.method != "POST":
            return self._without(request, typed)
        title = {"title": str(self.opts.verbose_name_plural).capitalize()}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def _without(self, request: HttpRequest, typed: set[str]) -> HttpResponse:
        """Lead on to the list with what was meant by the names that it does not know, or without
        them.
        """
        params = request.GET.copy()
        for name in sorted(typed):
            [value] = params.pop(name)[-1:]
            if name in self.aliases:
                params[self.aliases[name]] = value
            else:
                messages.warning(request, f"This list has no filter {name[:50]!r}.")
        return HttpResponseRedirect(f"{request.path}?{params.urlencode()}")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # Django would let the address filter by any column, and so read the whole table.
        return lookup in self.lookups

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class VendorFilter(admin.SimpleListFilter):
    title = parameter_name = "vendor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(slug, slug) for slug in catalogue.all()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(vendor=self.value()) if self.value() else queryset


class CreatedFilter(admin.SimpleListFilter):
    """By the id, which says when its row was made."""

    title = parameter_name = "created"
    spans = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(name, f"Within the last {name}") for name in self.spans]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        span = self.spans.get(self.value() or "")
        return queryset.filter(id__gte=first_id_at(timezone.now() - span)) if span else queryset
