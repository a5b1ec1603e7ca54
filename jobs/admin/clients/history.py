"""The history of a row: its audit entries, which commands and API keys write as well. Django's own
log has only what was done in the console.
"""

from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from audit.models import Entry
from jobs.admin.audit.rows import rows

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
            found = Entry.objects.filter(target=target).order_by("-id")
            page = Paginator(found, PER_PAGE).get_page(request.GET.get("p", "1"))
            response.context_data |= {"entries": page, "rows": rows(request, page.object_list)}
        return response
