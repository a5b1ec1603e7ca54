"""The history of a client or an API key: its audit entries, which commands write as well. Django's
own log has only what was done in the console.
"""

from typing import Any

from django.contrib import admin
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from audit.models import Entry
from jobs.admin.clients.acts import shown

PER_PAGE = 100


class AuditedAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no type argument at run time
    """Its history pages are for those who may view the object, as Django's are."""

    object_history_template = "admin/clients/object_history.html"

    def audit_target(self, obj: Any) -> str:
        """Return how audit entries name the object."""
        raise NotImplementedError

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        response = super().history_view(request, object_id, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            target = self.audit_target(response.context_data["object"])
            response.context_data["entries"] = _entries(target, request.GET.get("p", "1"))
        return response


def _entries(target: str, number: str) -> Page[Any]:
    """Return a page of the entries, newest first, each with its changes in words."""
    found = Entry.objects.filter(target=target).order_by("-id")
    page: Page[Any] = Paginator(found, PER_PAGE).get_page(number)
    for entry in page.object_list:
        entry.shown_changes = shown(entry.changes)
    return page
