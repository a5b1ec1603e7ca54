"""The base of the console's lists: read in the order of an index, and counted up to MAX_LISTED."""

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

from clients.models import Client
from jobs.api.pagination import first_id_at
from vendors.catalogue import catalogue

MAX_LISTED = 1000
LIST_PARAMETERS = {ALL_VAR, ERROR_FLAG, ORDER_VAR, PAGE_VAR, SEARCH_VAR, "_changelist_filters"}


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # no type argument at run time
    """Counts up to MAX_LISTED rows: counting a large table takes seconds."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        # Unordered, so that the store may use any index.
        return rows.order_by()[:MAX_LISTED].count()

    @property
    def is_cut(self) -> bool:
        return self.count >= MAX_LISTED


class Listing(ChangeList):
    """Newest first. Any other order would sort the whole table."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        return ["-id"]

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        return super().get_queryset(request, exclude_parameters).defer(*self.model_admin.large)  # type: ignore[attr-defined]

    @property
    def older(self) -> str:
        """The query string of the rows older than this page; '' if a search defines the order."""
        return "" if self.query else self.get_query_string(self.before(list(self.result_list)[-1]))

    def before(self, row: Any) -> dict[str, Any]:
        """Return the parameters of the list of what follows the row."""
        return {"id__lt": row.pk}


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no type argument at run time
    """Rows that can be viewed, but not added, changed or deleted."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    sortable_by = ()
    lookups: tuple[str, ...] = ()  # what the URL may filter by
    aliases: Mapping[str, str] = {}  # what people type for it
    large: tuple[str, ...] = ()  # columns that a list does not read

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Listing

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        unknown = set(request.GET) - {*self.lookups, *LIST_PARAMETERS}
        if unknown and request.method != "POST":
            return self._redirect_without(request, unknown)
        title = {"title": str(self.opts.verbose_name_plural).capitalize()}
        return super().changelist_view(request, {**title, **(extra_context or {})})

    def _redirect_without(self, request: HttpRequest, unknown: set[str]) -> HttpResponse:
        """Redirect to the list with unknown parameters resolved by `aliases`, or removed."""
        params = request.GET.copy()
        for name in sorted(unknown):
            [value] = params.pop(name)[-1:]
            if name in self.aliases:
                params[self.aliases[name]] = value
            else:
                messages.warning(request, f"This list has no filter {name[:50]!r}.")
        return HttpResponseRedirect(f"{request.path}?{params.urlencode()}")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # Django would allow filters by any column, which read the whole table.
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


class ClientFilter(admin.SimpleListFilter):
    title = parameter_name = "client"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(slug, slug) for slug in Client.objects.values_list("slug", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(client=self.value()) if self.value() else queryset


class CreatedFilter(admin.SimpleListFilter):
    """Filters by id: a UUIDv7 holds the time at which its row was created."""

    title = parameter_name = "created"
    spans = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(name, f"Last {name}") for name in self.spans]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        span = self.spans.get(self.value() or "")
        return queryset.filter(id__gte=first_id_at(timezone.now() - span)) if span else queryset
