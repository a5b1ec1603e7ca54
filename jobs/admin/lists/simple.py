"""Lists of rows that are filtered by what indexes tell, and perhaps by one thing more."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from jobs.admin.lists import page as pages
from jobs.admin.lists.fields import CREATED, Filters, unknown_filters
from jobs.admin.lists.page import PER_PAGE, Page, count, cut, end_of_window, number
from jobs.api.pagination import first_id_at
from jobs.models.job import time_of

POSITION = ("before", "start", "newest")
REFRESH_SECONDS = 15


def created_since(rows: QuerySet[Any], span: str) -> QuerySet[Any]:
    """Return the rows made in the last hour, day or week: a UUIDv7 holds its time."""
    if span not in CREATED:
        return rows
    return rows.filter(pk__gte=first_id_at(timezone.now() - CREATED[span]))


def page_of(rows: QuerySet[Any], before: str, first: int, order: str = "-pk") -> Page:
    """Return the page of the rows that come after the position `before`; '' for the newest."""
    after = rows.filter(pk__lt=before) if before else rows
    found, older = cut(list(after.order_by(order)[: PER_PAGE + 1]), lambda row: str(row.pk))
    return Page(found, older, count(rows), first)


def window_of(rows: QuerySet[Any], leading: QuerySet[Any], before: str) -> Page:
    """Return the page of the rows among the next WINDOW of those that an index finds."""
    end = end_of_window(leading, before)
    rows = rows.filter(pk__gte=end)
    after = rows.filter(pk__lt=before) if before else rows
    found, older = cut(list(after.order_by("-pk")[: PER_PAGE + 1]), lambda row: str(row.pk))
    return Page(found, older, count(after), looked_at=pages.WINDOW, further=end)


def context_of(
    request: HttpRequest,
    rows: QuerySet[Any],
    filters: Filters,
    order: str = "-pk",
    leading: QuerySet[Any] | None = None,
) -> dict[str, Any]:
    """Return the context of a list's template. `leading`: what an index finds of the rows, if not
    all of them.
    """
    before, first = request.GET.get("before", ""), number(request.GET.get("start", ""))
    known = {*(field.name for field in filters.fields), *POSITION}
    page = (
        page_of(rows, before, first, order) if leading is None else window_of(rows, leading, before)
    )
    newest = request.GET.get("newest", "")
    newer = rows.filter(pk__gt=newest)[: PER_PAGE + 1].count() if newest and not before else 0
    return {
        "filters": filters,
        "problems": unknown_filters(request, known),
        "page": page,
        "searched_back_to": time_of(page.further) if page.further else None,
        "is_first": not before,
        "newer": f"{min(newer, PER_PAGE)}{'+' if newer > PER_PAGE else ''}" if newer else 0,
        "newest": newest or page.rows[0].pk if page.rows and not before else "",
        "refresh_seconds": REFRESH_SECONDS,
    }
