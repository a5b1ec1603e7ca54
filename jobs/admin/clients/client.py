"""Clients: who may call the API, which vendors they may use, and how often they may call."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from clients import editing
from clients.models import DEFAULT, Client
from jobs.admin import formats
from jobs.admin.actor import actor
from jobs.admin.clients.acts import changed
from jobs.admin.clients.history import AuditedAdmin
from jobs.models import Job

LOOKUPS = ("enabled__exact",)


@admin.register(Client)
class ClientAdmin(AuditedAdmin):
    list_display = ("slug", "name", "enabled", "allowed", "limits")
    list_filter = ("enabled",)
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    actions = None  # clients are deleted one at a time: most can't be
    fieldsets = (
        (None, {"fields": ("slug", "name", "enabled", "keys", "note")}),
        ("What it may do", {"fields": ("vendors", "request_limits")}),
    )

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # Django would allow filters by the columns of the client's keys as well.
        return lookup in LOOKUPS

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"title": "Clients", **(extra_context or {})})

    def get_readonly_fields(
        self, request: HttpRequest, obj: Client | None = None
    ) -> tuple[str, ...]:
        return ("slug", "keys") if obj else ("keys",)

    def get_fieldsets(self, request: HttpRequest, obj: Client | None = None) -> Any:
        if obj and _may_see_keys(request):
            return self.fieldsets
        (_, first), *rest = self.fieldsets
        return [(None, {"fields": [it for it in first["fields"] if it != "keys"]}), *rest]

    @admin.display(description="allowed vendors")
    def allowed(self, client: Client) -> str:
        return client.vendors or "all"

    @admin.display(description="request limits")
    def limits(self, client: Client) -> str:
        return client.request_limits or "none"

    @admin.display(description="API keys")
    def keys(self, client: Client) -> SafeString:
        url = reverse("admin:clients_apikey_changelist") + f"?client={client.slug}"
        return format_html(
            '<a href="{}">{}</a>', url, formats.counted(client.api_keys.count(), "key")
        )

    def audit_target(self, obj: Any) -> str:
        return editing.target(obj)

    # Saving

    def get_form(
        self, request: HttpRequest, obj: Client | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        for field in form.base_fields.values():
            # The page keeps the values it has shown, so that only edited fields count as changed.
            field.show_hidden_initial = change
        return form

    def save_model(self, request: HttpRequest, obj: Client, form: Any, change: bool) -> None:
        if change:
            form.changes = editing.change(obj, actor(request), form.changed_data)
        else:
            editing.create(obj, actor(request))

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        if add:
            return super().construct_change_message(request, form, formsets, add)
        return changed(form.changes)

    # Deleting

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        client = kwargs["obj"]
        context["show_delete"] = client is not None and not _in_use_reasons(client)
        return super().render_change_form(request, context, *args, **kwargs)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Django would name each key, of which there may be many, as one that can't be deleted.
        if in_use := [reason for client in objs for reason in _in_use_reasons(client)]:
            return [], {}, set(), in_use
        return super().get_deleted_objects(objs, request)

    def delete_model(self, request: HttpRequest, obj: Client) -> None:
        editing.delete(obj, actor(request))


def _in_use_reasons(client: Client) -> list[str]:
    """Return why the client can't be deleted; [] if it can."""
    if client.slug == DEFAULT:
        return [
            f"Client {DEFAULT} stays: jobs from before there were clients belong to it. You can "
            "disable it."
        ]
    reasons = []
    if client.api_keys.exists():
        reasons.append(f"Client {client} has API keys, which stay on record. Disable it instead.")
    if Job.objects.filter(client=client.slug).exists():
        reasons.append(f"Client {client} has jobs. Disable it instead.")
    return reasons


def _may_see_keys(request: HttpRequest) -> bool:
    may = request.user.has_perm
    return may("clients.view_apikey") or may("clients.manage_apikey")
