"""Where a vendor's calls go and with which keys: who may change that, what is asked for it, and
whether it works.
"""

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

from jobs.queue.redis import hints
from jobs.recovery import unusable
from vendors.models import Vendor

TARGET = ("adapter", "url", "api_key_env", "webhook_secret_env", "redact")
VARIABLES = ("api_key_env", "webhook_secret_env")
AGAIN = "variables_again"


class VendorForm(forms.ModelForm):  # type: ignore[type-arg]  # it takes no type argument at run time
    # A key goes to another host only where somebody has said so for this very key.
    variables_again = forms.CharField(
        required=False,
        help_text="Only where the adapter or the host of the URL changes: type the names of both variables again, with a blank "
        "between them.",
    )

    @property
    def changed_data(self) -> list[str]:
        return [name for name in super().changed_data if name != AGAIN]  # which is no column

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        stored = Vendor.objects.filter(pk=self.instance.pk).first()
        named = {cleaned[name] for name in VARIABLES if cleaned.get(name)}
        if (
            stored
            and named
            and _moves(stored, cleaned)
            and set(re.split(r"[\s,]+", cleaned.get(AGAIN) or "")) != named
        ):
            sentence = f"The calls would go elsewhere. To have the values of these variables sent there, type {_words(named)} here."
            self.add_error(AGAIN, forms.ValidationError(sentence, code="again"))
        return cleaned


def _moves(stored: Vendor, cleaned: dict[str, Any]) -> bool:
    url, adapter = cleaned.get("url", stored.url), cleaned.get("adapter", stored.adapter)
    return adapter != stored.adapter or _origin(url) != _origin(stored.url)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _words(names: set[str]) -> str:
    return " ".join(sorted(names))


class TargetAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # it takes no type argument at run time
    form = VendorForm

    def has_target_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("vendors.change_vendor_target")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self.has_target_permission(request)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Vendor | None = None
    ) -> tuple[str, ...]:
        fixed = ("slug", "state", "usable") if obj else ("state", "usable")
        return fixed if self.has_target_permission(request) else (*fixed, *TARGET)

    def get_fieldsets(self, request: HttpRequest, obj: Vendor | None = None) -> Any:
        hidden = {AGAIN} if obj is None or not self.has_target_permission(request) else set()
        return [
            (
                title,
                {**options, "fields": [name for name in options["fields"] if name not in hidden]},
            )
            for title, options in super().get_fieldsets(request, obj)
        ]

    @admin.display(description="Can be called")
    def usable(self, vendor: Vendor) -> str | SafeString:
        if vendor._state.adding:
            return "-"
        return format_html_join(
            "\n",
            "<div>{}</div>",
            ((line,) for line in (_of_workers(vendor), _of_callbacks(vendor)) if line),
        )


def _of_workers(vendor: Vendor) -> str:
    try:
        said = unusable.reports(hints())
    except redis.RedisError:
        return "Redis does not answer, so that it is not known what workers can call."
    why = [report.why[vendor.slug] for report in said if vendor.slug in report.why]
    if not said:
        return "No worker is alive."
    if not why:
        return f"yes, by {len(said)} of {len(said)} workers"
    return f"not by {len(why)} of {len(said)} workers: {' '.join(sorted(set(why)))}"


def _of_callbacks(vendor: Vendor) -> str:
    """Return why callbacks are refused, as far as this process can tell."""
    fault = vendor.webhook_secret_fault
    return f"Callbacks are refused: {fault}" if fault and "webhooks" in settings.SERVES else ""
