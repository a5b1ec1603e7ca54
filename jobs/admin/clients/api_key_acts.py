"""Rotate and revoke API keys in the console, and show a new key once."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from clients import issuing
from clients.issuing import Issued, IssuingError
from clients.keys import masked
from clients.models import ApiKey
from clients.states import moment
from jobs.admin.actor import actor
from jobs.admin.clients.forms import RevokeForm, RotateForm
from jobs.admin.clients.history import AuditedAdmin
from jobs.admin.clients.listing import ReadOnlyAdmin
from jobs.admin.clients.once import created_before

FOLDER = "admin/clients/apikey"


class ApiKeyActs(AuditedAdmin, ReadOnlyAdmin):
    """Keys are created, rotated and revoked, and never changed otherwise."""

    def audit_target(self, obj: Any) -> str:
        return issuing.target(obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) or self.has_manage_permission(request)

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("clients.manage_apikey")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_manage_permission(request)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/rotate/", view(self._rotate_view), name="clients_apikey_rotate"),
            path("<path:object_id>/revoke/", view(self._revoke_view), name="clients_apikey_revoke"),
            *super().get_urls(),
        ]

    def show_once(
        self, request: HttpRequest, issued: Issued, old: ApiKey | None = None
    ) -> HttpResponse:
        """Show the key in the answer to the request that created it, and nowhere else: it must not
        get into a cookie, a URL, a message or a cache.
        """
        client = issued.key.client
        if not client.enabled:
            messages.warning(
                request,
                f"Client {client} is disabled: this key is refused until the client is enabled.",
            )
        context = {"title": f"API key {issued.key}", "issued": issued, "old": old}
        response = self._page(request, "issued", issued.key, context)
        add_never_cache_headers(response)
        return response

    def _rotate_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self._managed(request, object_id)
        if new := created_before(request):
            return HttpResponseRedirect(url_of(new))
        form = RotateForm(request.POST if request.method == "POST" else None)
        if not (key and form.is_valid()):
            return self._ask(request, "rotate", key, form)
        overlap, new_id = form.cleaned_data["overlap"], form.cleaned_data["new_id"]
        try:
            issued = issuing.rotate(key, actor(request), overlap=overlap, id=new_id)
        except (IssuingError, IntegrityError) as error:  # also if the form was sent twice at once
            if new := created_before(request):
                return HttpResponseRedirect(url_of(new))
            messages.error(request, str(error))
            return HttpResponseRedirect(url_of(key))
        ends_at = moment(key.expires_at)
        self.log_change(request, key, f"Rotated: {issued.key} replaces it. Valid until {ends_at}.")
        self.log_addition(request, issued.key, f"Created in place of {key}.")
        return self.show_once(request, issued, old=key)

    def _revoke_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        key = self._managed(request, object_id)
        form = RevokeForm(request.POST if request.method == "POST" else None)
        if not (key and form.is_valid()):
            return self._ask(request, "revoke", key, form)
        reason = masked(form.cleaned_data["reason"])  # people paste the key that they found
        if issuing.revoke(key, actor(request), reason=reason):
            self.log_change(request, key, f"Revoked. {reason}".strip())
            messages.success(request, f"API key {key} is revoked: refused within a second.")
        else:
            messages.warning(request, f"API key {key} was revoked before.")
        return HttpResponseRedirect(url_of(key))

    def _managed(self, request: HttpRequest, object_id: str) -> ApiKey | None:
        if not self.has_manage_permission(request):
            raise PermissionDenied
        return ApiKey.objects.select_related("client").filter(pk=unquote(object_id)).first()

    def _ask(self, request: HttpRequest, act: str, key: ApiKey | None, form: Form) -> HttpResponse:
        if key is None:
            messages.warning(request, "There is no such API key.")
            return HttpResponseRedirect(reverse("admin:clients_apikey_changelist"))
        context = {"title": f"{act.capitalize()} API key {key}?", "form": form, "act": act}
        return self._page(request, "ask", key, context)

    def _page(
        self, request: HttpRequest, name: str, key: ApiKey, context: dict[str, Any]
    ) -> TemplateResponse:
        request.current_app = self.admin_site.name
        shared = {"opts": self.opts, "key": key, "key_url": url_of(key)}
        context = {**self.admin_site.each_context(request), **shared, **context}
        return TemplateResponse(request, f"{FOLDER}/{name}.html", context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        key = kwargs["obj"]
        is_managed = key is not None and self.has_manage_permission(request)
        buttons = {
            "can_rotate": is_managed and key.is_valid(timezone.now()) and not key.replaced_by,
            "can_revoke": is_managed and not key.revoked_at,
        }
        return super().render_change_form(request, {**context, **buttons}, *args, **kwargs)


def url_of(key: ApiKey) -> str:
    return reverse("admin:clients_apikey_change", args=[quote(key.pk)])
