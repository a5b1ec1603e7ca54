"""The settings of vendors: what an operator edits is in force within a second."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from jobs.admin import shown
from jobs.admin.target import TargetAdmin
from jobs.models import OPEN, Job
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Vendor


@admin.register(Vendor)
class VendorAdmin(TargetAdmin):
    list_display = ("slug", "adapter", "enabled", "state", "rate_limits", "max_in_flight")
    list_filter = ("enabled",)
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    actions = ("pause_vendors", "resume_vendors")
    fieldsets = (
        (None, {"fields": ("slug", "adapter", "url", "enabled", "state", "usable")}),
        ("Limits", {"fields": ("rate_limits", "max_in_flight", "max_queued")}),
        ("Time and tries", {"fields": ("timeout_seconds", "max_attempts", "callback_timeout_seconds")}),
        ("When an answer is missing", {"fields": ("repeat_unknown", "repeat_overdue")}),
        ("Secrets and privacy", {"fields": ("api_key_env", "webhook_secret_env", "variables_again", "redact")}),
    )

    class Media:
        css = {"all": ["jobs/console.css"]}

    @admin.display
    def state(self, vendor: Vendor) -> str:
        return shown.pause(vendor, timezone.now())

    # Saving

    def get_form(self, request: HttpRequest, obj: Vendor | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        for field in form.base_fields.values():
            # The page keeps what it has shown, so that only what its reader changed counts as changed.
            field.show_hidden_initial = change
        return form

    def save_model(self, request: HttpRequest, obj: Vendor, form: Any, change: bool) -> None:
        # A worker may have paused the vendor since, or somebody else set another limit: that stays.
        obj.save(update_fields=form.changed_data if change else None)
        catalogue.forget()

    # Pausing

    @admin.action(permissions=["change"], description="Pause selected vendors")
    def pause_vendors(self, request: HttpRequest, queryset: QuerySet[Vendor]) -> None:
        self._pause(request, queryset)

    @admin.action(permissions=["change"], description="Resume selected vendors")
    def resume_vendors(self, request: HttpRequest, queryset: QuerySet[Vendor]) -> None:
        self._resume(request, queryset)

    def _pause(self, request: HttpRequest, vendors: Iterable[Vendor]) -> None:
        reason = f"by {request.user.get_username()}"
        self._each(request, vendors, lambda vendor: pauses.pause(vendor.slug, reason), "paused")

    def _resume(self, request: HttpRequest, vendors: Iterable[Vendor]) -> None:
        self._each(request, vendors, lambda vendor: pauses.resume(vendor.slug), "resumed")

    def _each(self, request: HttpRequest, vendors: Iterable[Vendor], act: Callable[[Vendor], bool], done: str) -> None:
        for vendor in vendors:
            if act(vendor):
                self.log_change(request, vendor, f"{done.capitalize()}.")
                messages.success(request, f"The vendor {vendor} is {done}.")
            else:
                messages.warning(request, f"The vendor {vendor} is {done} already.")

    def get_urls(self) -> list[URLPattern]:
        acts = {"pause": self._pause, "resume": self._resume}
        ours = [
            path(f"<path:object_id>/{name}/", self._button(act), name=f"vendors_vendor_{name}") for name, act in acts.items()
        ]
        return [*ours, *super().get_urls()]

    def _button(self, act: Callable[[HttpRequest, Iterable[Vendor]], None]) -> Callable[..., HttpResponse]:
        def view(request: HttpRequest, object_id: str) -> HttpResponse:
            if not self.has_change_permission(request):
                raise PermissionDenied
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            act(request, Vendor.objects.filter(pk=unquote(object_id)))
            return HttpResponseRedirect(reverse("admin:vendors_vendor_change", args=[object_id]))

        return self.admin_site.admin_view(view)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        vendor = kwargs.get("obj")
        paused = vendor is not None and vendor.is_paused(timezone.now())
        return super().render_change_form(request, context | {"paused": paused}, *args, **kwargs)

    # Deleting

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return found, counts, lacking, [*protected, *(reason for vendor in objs for reason in _why_kept(vendor))]

    def delete_model(self, request: HttpRequest, obj: Vendor) -> None:
        super().delete_model(request, obj)
        catalogue.forget()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Vendor]) -> None:
        super().delete_queryset(request, queryset)
        catalogue.forget()


def _why_kept(vendor: Vendor) -> list[str]:
    """Return why the vendor can't be deleted now; nothing where it can."""
    reasons = []
    if vendor.enabled:
        reasons.append(f"The vendor {vendor} is enabled. Disable it first, so that no new jobs are accepted for it.")
    if Job.objects.filter(vendor=vendor.slug, status__in=OPEN).exists():
        reasons.append(f"The vendor {vendor} has open jobs. Let them end, or cancel them.")
    return reasons
