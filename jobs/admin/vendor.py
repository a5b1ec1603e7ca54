"""The settings of vendors: what an operator edits is in force within a second."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from jobs.admin import sentences, shown
from jobs.admin.pausing import PausingAdmin
from jobs.admin.target import TargetAdmin
from jobs.models import OPEN, Job
from jobs.queue.snapshot import Snapshot, take_snapshot
from vendors.catalogue import catalogue
from vendors.models import Vendor


@admin.register(Vendor)
class VendorAdmin(TargetAdmin, PausingAdmin):
    list_display = ("slug", "adapter", "enabled", "state", "rate_limits", "max_in_flight")
    list_filter = ("enabled",)
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    fieldsets = (
        (None, {"fields": ("slug", "adapter", "url", "enabled", "state", "usable")}),
        ("Limits", {"fields": ("rate_limits", "arrival_margin_ms", "max_in_flight", "max_queued")}),
        (
            "Time and tries",
            {"fields": ("timeout_seconds", "max_attempts", "callback_timeout_seconds")},
        ),
        ("When an answer is missing", {"fields": ("repeat_unknown", "repeat_overdue")}),
        (
            "Secrets and privacy",
            {"fields": ("api_key_env", "webhook_secret_env", "variables_again", "redact")},
        ),
    )

    class Media:
        css = {"all": ["jobs/console.css"]}

    @admin.display
    def state(self, vendor: Vendor) -> SafeString:
        if vendor._state.adding:
            return SafeString("-")
        # A list has asked Redis for all of its vendors at once.
        snapshot: Snapshot | None = vendor.__dict__.get("snapshot")
        if snapshot is None:
            vendor = Vendor.objects.get(pk=vendor.pk)  # not as a form with an error has left it
            snapshot = take_snapshot([vendor])
        sentence = shown.standing(sentences.vendor_state(vendor, snapshot))
        return (
            sentence
            if snapshot.redis_answers
            else format_html("{}; Redis does not answer", sentence)
        )

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist = super().get_changelist_instance(request)
        vendors: list[Any] = list(changelist.result_list)
        snapshot = take_snapshot(vendors)
        for vendor in vendors:
            vendor.snapshot = snapshot
        changelist.result_list = vendors
        return changelist

    # Saving

    def get_form(
        self, request: HttpRequest, obj: Vendor | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        for field in form.base_fields.values():
            # The page keeps what it has shown, so that only what its reader changed counts as
            # changed.
            field.show_hidden_initial = change
        return form

    def save_model(self, request: HttpRequest, obj: Vendor, form: Any, change: bool) -> None:
        # A worker may have paused the vendor since, or somebody else set another limit: that stays.
        obj.old_values = Vendor.objects.filter(pk=obj.pk).values(*form.changed_data).first() or {}  # type: ignore[attr-defined]
        obj.save(update_fields=form.changed_data if change else None)
        catalogue.forget()

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        if add:
            return super().construct_change_message(request, form, formsets, add)
        old, new = form.instance.old_values, form.instance
        changes = [
            f"{name}: {old.get(name)!r} → {getattr(new, name)!r}" for name in form.changed_data
        ]
        return f"Changed {'; '.join(changes)}." if changes else "No fields changed."

    # Deleting

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        found, counts, lacking, protected = super().get_deleted_objects(objs, request)
        return (
            found,
            counts,
            lacking,
            [*protected, *(reason for vendor in objs for reason in _why_kept(vendor))],
        )

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
        reasons.append(
            f"The vendor {vendor} is enabled. Disable it first, so that no new jobs are accepted for it."
        )
    if Job.objects.filter(vendor=vendor.slug, status__in=OPEN).exists():
        reasons.append(f"The vendor {vendor} has open jobs. Let them end, or cancel them.")
    return reasons
