"""Where a vendor's calls go and with which keys: who may change that, and whether it works."""

import re
from typing import Any
from urllib.parse import urlsplit

import redis
from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from jobs.admin.formats import counted
from jobs.queue.heartbeat import no_live_worker_message
from jobs.queue.redis import hints
from jobs.recovery import unusable
from vendors.models import Vendor

TARGET_FIELDS = ("adapter", "url", "api_key_env", "webhook_secret_env", "redact")
VARIABLE_FIELDS = ("api_key_env", "webhook_secret_env")
CONFIRMATION_FIELD = "variables_again"


class VendorForm(forms.ModelForm):  # type: ignore[type-arg]  # no type argument at run time
    # Keys are sent to another host only if the operator confirms these very keys.
    variables_again = forms.CharField(
        required=False,
        label="Confirm variables",
        help_text="Only if you change the adapter or the host of the URL: "
        "type the names of both variables again, separated by a space.",
    )

    @property
    def changed_data(self) -> list[str]:
        return [name for name in super().changed_data if name != CONFIRMATION_FIELD]  # no column

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        stored = Vendor.objects.filter(pk=self.instance.pk).first()
        named = {cleaned[name] for name in VARIABLE_FIELDS if cleaned.get(name)}
        confirmed = set(re.split(r"[\s,]+", cleaned.get(CONFIRMATION_FIELD) or ""))
        if stored and named and _moves(stored, cleaned) and confirmed != named:
            text = (
                "Calls would go to another host or adapter. "
                f"To send it the values of these variables, type {' '.join(sorted(named))} here."
            )
            self.add_error(CONFIRMATION_FIELD, forms.ValidationError(text, code="again"))
        return cleaned


def _moves(stored: Vendor, cleaned: dict[str, Any]) -> bool:
    url, adapter = cleaned.get("url", stored.url), cleaned.get("adapter", stored.adapter)
    return adapter != stored.adapter or _origin(url) != _origin(stored.url)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


class TargetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no type argument at run time
    form = VendorForm

    def has_target_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("vendors.change_vendor_target")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self.has_target_permission(request)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Vendor | None = None
    ) -> tuple[str, ...]:
        fixed = ("slug", "state", "usable") if obj else ("state", "usable")
        return fixed if self.has_target_permission(request) else (*fixed, *TARGET_FIELDS)

    def get_fieldsets(self, request: HttpRequest, obj: Vendor | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        if obj and self.has_target_permission(request):
            return fieldsets
        return [
            (
                title,
                {**options, "fields": [f for f in options["fields"] if f != CONFIRMATION_FIELD]},
            )
            for title, options in fieldsets
        ]

    @admin.display(description="Can be called")
    def usable(self, vendor: Vendor) -> str | SafeString:
        if vendor._state.adding:
            return "-"
        lines = [line for line in (_of_workers(vendor), _of_callbacks(vendor)) if line]
        return format_html_join("\n", "<div>{}</div>", ((line,) for line in lines))


def _of_workers(vendor: Vendor) -> str:
    """Return how many live workers can call the vendor, and why the others can't."""
    try:
        reports = unusable.reports(hints())
    except redis.RedisError:
        return "Unknown: Redis does not answer."
    if not reports:
        return no_live_worker_message([])
    why = [report.why[vendor.slug] for report in reports if vendor.slug in report.why]
    if not why:
        return f"Yes, by {counted(len(reports), 'worker')}."
    reasons = " ".join(sorted(set(why)))
    return f"Not by {len(why)} of {counted(len(reports), 'worker')}: {reasons}"


def _of_callbacks(vendor: Vendor) -> str:
    """Return why callbacks are refused, if this process receives them."""
    fault = vendor.webhook_secret_fault or vendor.callback_fault
    return f"Callbacks are refused: {fault}" if fault and "webhooks" in settings.SERVES else ""
