"""The settings of vendors. A change applies within a second."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin import key_states, states
from jobs.admin.vendors.page import listing
from jobs.admin.vendors.page.content import content
from jobs.admin.vendors.page.pausing import PausingAdmin, paused_keys
from jobs.admin.vendors.target import TargetAdmin
from jobs.admin.vendors.trail import TrailAdmin
from jobs.models import OPEN, Job
from jobs.queue.clock import redis_clock
from vendors.catalogue import catalogue
from vendors.loading.trail import differences
from vendors.models import Vendor

LIMITS = ("rate_limits", "arrival_margin_ms", "max_in_flight", "max_queued")
TIMEOUTS = ("timeout_seconds", "max_attempts", "callback_timeout_seconds")
SECRETS = ("api_key_env", "webhook_secret_env", "variables_again", "redact")


@admin.register(Vendor)
class VendorAdmin(TrailAdmin, TargetAdmin, PausingAdmin):
    list_display = ("slug",)
    sortable_by = ()
    fieldsets = (
        (None, {"fields": ("slug", "adapter", "url", "enabled", "key_states", "usable")}),
        ("Definition", {"fields": ("definition",)}),
        ("Jobs", {"fields": ("required_input",)}),
        ("Limits", {"fields": LIMITS}),
        ("Timeouts and attempts", {"fields": TIMEOUTS}),
        ("When an answer is missing", {"fields": ("repeat_unknown", "repeat_overdue")}),
        ("Secrets and privacy", {"fields": SECRETS}),
    )

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Return what can be done with selected vendors, with deleting them as the last."""
        found = super().get_actions(request)
        if delete := found.pop("delete_selected", None):
            found["delete_selected"] = delete
        return found

    @admin.display(description="Credential")
    def key_states(self, vendor: Vendor) -> str | SafeString:
        """Return which keys of its credential are out, with a link to the credential."""
        credential = Vendor.objects.get(pk=vendor.pk).credential  # not the values of a form
        if credential is None:
            return "-"
        url = reverse("admin:vendors_credential_change", args=[credential.pk])
        rows = paused_keys(credential)
        sentences = [f"{row.name} is {states.pause(row)}." for row in rows]
        too = [row.name for row in rows if not row.paused_by]
        if too and vendor.is_paused(redis_clock.now()):
            sentences.append(f"Resuming the vendor resumes {' and '.join(too)} too.")
        unused = sorted(key_states.lacking(credential, key_states.workers()))
        sentences += [f"{name} is {key_states.NOT_USED}." for name in unused]
        link = format_html('<a href="{}">{}</a>', url, credential)
        shown = link if "credential" in _openable(vendor) else credential
        return format_html("{} {}", shown, " ".join(sentences))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if vendor := kwargs.get("obj"):
            vendor.openable = _openable_by(request)
            context |= content(request, Vendor.objects.get(pk=vendor.pk))  # not what a form says
        return super().render_change_form(request, context, *args, **kwargs)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Vendor | None = None
    ) -> tuple[str, ...]:
        # Limits are changed on a page that shows the effect first.
        limits = LIMITS if obj else ()
        return (*super().get_readonly_fields(request, obj), *limits, "key_states")

    def get_fieldsets(self, request: HttpRequest, obj: Vendor | None = None) -> Any:
        """Leave out what a vendor does not have."""
        has_none = {"key_states"} if obj is None else set()
        # The row is about to get the form's definition: its credential must not be read yet.
        if obj and not obj.definition.get("credential"):
            has_none = {"key_states"}
        description = {"Limits": _where_limits_are_changed(request, obj)} if obj else {}
        return [
            (
                title,
                {
                    **options,
                    "fields": [it for it in options["fields"] if it not in has_none],
                    "description": description.get(title),
                },
            )
            for title, options in super().get_fieldsets(request, obj)
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"title": "Vendors", "refresh_seconds": listing.REFRESH_SECONDS}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Give each vendor what the list shows of it, and put the worst first."""
        changelist = super().get_changelist_instance(request)
        changelist.result_list = listing.listed(request, changelist.result_list)
        return changelist

    # Saving

    def get_form(
        self, request: HttpRequest, obj: Vendor | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        for field in form.base_fields.values():
            # The page keeps the values it has shown, so that only edited fields count as changed.
            field.show_hidden_initial = change
        return form

    def save_model(self, request: HttpRequest, obj: Vendor, form: Any, change: bool) -> None:
        # Only changed fields: a pause, or another operator's change made since, stays.
        stored = Vendor.objects.filter(pk=obj.pk).values("pk", *form.changed_data).first() or {}
        obj.old_values = {name: stored.get(name) for name in form.changed_data}  # type: ignore[attr-defined]
        obj.save(update_fields=form.changed_data if change else None)
        catalogue.forget()

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        if add:
            return super().construct_change_message(request, form, formsets, add)
        old, new = form.instance.old_values, form.instance
        return differences(old, {name: getattr(new, name) for name in form.changed_data})

    def are_limits(self, changed: Iterable[str]) -> bool:
        return {*changed} <= {*LIMITS}

    # Deleting

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        in_use = [reason for vendor in objs for reason in _in_use_reasons(vendor)]
        return found, counts, lacking, [*protected, *in_use]

    def delete_model(self, request: HttpRequest, obj: Vendor) -> None:
        super().delete_model(request, obj)
        catalogue.forget()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Vendor]) -> None:
        super().delete_queryset(request, queryset)
        catalogue.forget()


def _where_limits_are_changed(request: HttpRequest, vendor: Vendor) -> SafeString:
    page = "a page of their own"
    if request.user.has_perm("vendors.change_vendor_limits"):
        url = reverse("admin:vendor_limits", args=[vendor.slug])
        page = format_html('<a href="{}">{}</a>', url, page)
    return format_html("They are changed on {}, which shows the effect first.", page)


def _openable_by(request: HttpRequest) -> set[str]:
    """Return whose pages the user may open; a link to another would lead to a 403."""
    may = request.user.has_perm
    kinds = ("credential", "limit")
    return {it for it in kinds if may(f"vendors.view_{it}") or may(f"vendors.change_{it}")}


def _openable(vendor: Vendor) -> set[str]:
    found: set[str] = vars(vendor).get("openable", set())
    return found


def _in_use_reasons(vendor: Vendor) -> list[str]:
    """Return why the vendor can't be deleted now; [] if it can."""
    reasons = []
    if vendor.enabled:
        reasons.append(
            f"Vendor {vendor} is enabled. Disable it first, so that it gets no new jobs."
        )
    if Job.objects.filter(vendor=vendor.slug, status__in=OPEN).exists():
        reasons.append(f"Vendor {vendor} has open jobs. Wait until they end, or cancel them.")
    return reasons
