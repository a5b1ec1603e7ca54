"""API keys: the list, the page of one key, and the form that creates one."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from clients import issuing
from clients.issuing import Issued
from clients.models import ApiKey, Client
from clients.states import describe, expires_soon, moment
from clients.validators import words
from jobs.admin.actor import actor
from jobs.admin.clients.api_key_acts import ApiKeyActs, url_of
from jobs.admin.clients.forms import ApiKeyForm
from jobs.admin.clients.once import created_before


class ClientFilter(admin.SimpleListFilter):
    title = parameter_name = "client"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(slug, slug) for slug in Client.objects.values_list("slug", flat=True)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        if not self.value():
            return queryset
        return queryset.filter(client__in=list(Client.objects.filter(slug=self.value())))


class ValidityFilter(admin.SimpleListFilter):
    title = parameter_name = "validity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("valid", "Valid"), ("ended", "Revoked or expired")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        now = timezone.now()
        if self.value() == "valid":
            in_time = Q(expires_at=None) | Q(expires_at__gt=now)
            return queryset.filter(in_time, revoked_at=None)
        if self.value() == "ended":
            return queryset.filter(Q(revoked_at__isnull=False) | Q(expires_at__lte=now))
        return queryset


@admin.register(ApiKey)
class ApiKeyAdmin(ApiKeyActs):
    form = ApiKeyForm
    list_display = ("key", "client", "name", "granted", "state", "last_used")
    list_filter = (ClientFilter, ValidityFilter)
    list_select_related = ("client",)
    lookups = ("client", "validity", "id__lt")
    add_fieldsets = (
        (None, {"fields": ("new_id", "client", "name", "expires_at")}),
        ("What it may do", {"fields": ("scopes", "vendors", "addresses")}),
    )
    # Never the digest.
    fieldsets = (
        (None, {"fields": ("key", "client_link", "name", "state", "last_used", "created")}),
        ("What it may do", {"fields": ("granted", "allowed_vendors", "allowed_addresses")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: ApiKey | None = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        may = request.user.has_perm
        if may("clients.view_client") or may("clients.change_client"):
            return self.fieldsets
        # Without the permission, a link would lead to a 403.
        (_, first), *rest = self.fieldsets
        fields = ["client" if field == "client_link" else field for field in first["fields"]]
        return [(None, {"fields": fields}), *rest]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {"title": "API keys", **(extra_context or {})})

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # One button: what the others lead to would hide the key.
        buttons = {"show_save_and_continue": False, "show_save_and_add_another": False}
        context = {**buttons, **(extra_context or {})}
        if self.has_add_permission(request) and (key := created_before(request)):
            return HttpResponseRedirect(url_of(key))
        try:
            return super().add_view(request, form_url, context)
        except (ValidationError, IntegrityError):  # if the form was sent twice at once
            if key := created_before(request):
                return HttpResponseRedirect(url_of(key))
            raise

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Preselect the client in the URL, or the one that the list was filtered by."""
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        slug = QueryDict(initial.pop("_changelist_filters", "")).get("client")
        if slug and (client := Client.objects.filter(slug=slug).first()):
            initial.setdefault("client", client.pk)
        return initial

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:
        fields = {**form.cleaned_data}
        form.issued = issuing.create(actor=actor(request), id=fields.pop("new_id"), **fields)
        obj.pk, obj.public = form.issued.key.pk, form.issued.key.public
        obj.issued = form.issued  # type: ignore[attr-defined]  # for the answer to this request

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        key = form.issued.key
        return f"Created for client {key.client} with {key.scopes}."

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        issued: Issued = obj.issued
        return self.show_once(request, issued)

    def get_form(
        self, request: HttpRequest, obj: ApiKey | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if obj is None:
            widget = form.base_fields["client"].widget
            # A client can be added from here; the rest belongs to its own page.
            widget.can_change_related = widget.can_delete_related = widget.can_view_related = False
        return form

    # Columns

    @admin.display
    def key(self, key: ApiKey) -> str:
        return f"{key}…"

    @admin.display
    def state(self, key: ApiKey) -> SafeString:
        now = timezone.now()
        kind = "valid" if key.is_valid(now) and key.client.enabled else "ended"
        if kind == "valid" and expires_soon(key, now):
            kind = "soon"
        return format_html('<span class="key-{}">{}</span>', kind, describe(key, now))

    @admin.display
    def last_used(self, key: ApiKey) -> str:
        return moment(key.last_used_at)

    @admin.display
    def created(self, key: ApiKey) -> str:
        return moment(key.created_at)

    @admin.display(description="client")
    def client_link(self, key: ApiKey) -> SafeString | str:
        url = reverse("admin:clients_client_change", args=[key.client_id])
        return format_html('<a href="{}">{}</a>', url, key.client)

    @admin.display(description="scopes")
    def granted(self, key: ApiKey) -> str:
        return ", ".join(words(key.scopes))

    @admin.display(description="vendors")
    def allowed_vendors(self, key: ApiKey) -> str:
        return key.vendors or "all of the client"

    @admin.display(description="allowed addresses")
    def allowed_addresses(self, key: ApiKey) -> str:
        return key.addresses or "any"
