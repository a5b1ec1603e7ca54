"""Where a vendor's calls go and with which keys: who may change that, and whether it works."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import redis
from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Field
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from jobs.admin.formats import counted
from jobs.admin.vendors import sending
from jobs.admin.vendors.confirmation import CONFIRMATION_FIELD, ConfirmingForm
from jobs.admin.vendors.field import DefinitionField, shown
from jobs.queue.heartbeat import no_live_worker_message
from jobs.queue.redis import hints
from jobs.recovery import unusable
from vendors.catalogue import account_url
from vendors.loading.keys import KINDS
from vendors.models import Vendor, required_input_of
from vendors.registry import is_http
from vendors.validators import without_method

TARGET_FIELDS = ("adapter", "url", "definition", "api_key_env", "webhook_secret_env", "redact")
HELP = (
    "What the vendor's table in TOML says besides the fields of this page: query, headers, json, "
    "input, credential, result, outcomes, limits, poll, callback and others. Comments are not kept."
)
OTHERWISE_WITH_HTTP = {
    "required_input": "With adapter http, name the fields as input in the definition instead.",
    "api_key_env": "With adapter http, name a credential in the definition instead.",
    "webhook_secret_env": "With adapter http, name callback.secret_env in the definition instead.",
}
# Which fields the page of a vendor with adapter http has in place of these.
WITH_HTTP = {"required_input": "required", "api_key_env": "", "webhook_secret_env": ""}
ELSEWHERE = {
    **dict.fromkeys(KINDS, "This is a field of this page. Set it there."),
    **{key: f"This is a field. {remedy}" for key, remedy in OTHERWISE_WITH_HTTP.items()},
    "vendors": "Paste only what stands in [vendors.NAME], without this line.",
    "credentials": "A credential has a page of its own.",
}


class VendorForm(ConfirmingForm):
    may_send_credentials = False

    # Keys are sent to another host only if the operator confirms these very keys.
    variables_again = forms.CharField(
        required=False,
        label="Confirm variables",
        help_text="Only if you change the adapter, the host of a URL, the credential or the proxy: "
        "type the names of the vendor's variables again, separated by spaces.",
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        stored = Vendor.objects.filter(pk=self.instance.pk).first()
        old = stored or Vendor()
        values = {name: cleaned.get(name, getattr(old, name)) for name in TARGET_FIELDS}
        if not self.may_send_credentials and sending.changes_target(stored, Vendor(**values)):
            self.add_error(None, forms.ValidationError(sending.REFUSAL, code="permission"))
        if not stored:
            if cleaned.get("required_input") == self["required_input"].initial:
                cleaned["required_input"] = required_input_of(cleaned.get("adapter", ""))
            return cleaned
        if _target(stored) != _target(Vendor(**values)):
            why = (
                "Calls would go to another host or adapter, or there with another credential. "
                "To send it the values of these variables"
            )
            self.require_again(cleaned, Vendor(**values).variable_names, why)
        return cleaned


def _target(vendor: Vendor) -> tuple[object, ...]:
    """Return where a vendor's calls, polls and checks go, and with which credential."""
    origins = {_origin(url) for url in sending.urls_of(vendor) if isinstance(url, str)}
    return vendor.adapter, origins, *(vendor.definition.get(key) for key in sending.TARGET_KEYS)


def _origin(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(without_method(url))
    except ValueError:
        return "", url
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
        shown = ("state", "usable", "required")
        fixed = ("slug", *shown) if obj else shown
        if self.has_target_permission(request):
            return fixed
        return (*fixed, *TARGET_FIELDS, "shown_definition")

    def get_fieldsets(self, request: HttpRequest, obj: Vendor | None = None) -> Any:
        fieldsets = super().get_fieldsets(request, obj)
        is_editable = self.has_target_permission(request) and self.has_change_permission(request)
        replaced: dict[Any, str] = {} if is_editable else {"definition": "shown_definition"}
        if not (obj and is_editable):
            replaced[CONFIRMATION_FIELD] = ""
        if obj and is_http(obj.adapter):
            replaced |= WITH_HTTP
        return [
            (title, {**options, "fields": list(_replaced(options["fields"], replaced))})
            for title, options in fieldsets
        ]

    def get_form(
        self, request: HttpRequest, obj: Vendor | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form: Any = super().get_form(request, obj, change, **kwargs)
        form.may_send_credentials = sending.may_change(request)
        return form

    def formfield_for_dbfield(
        self, db_field: "Field[Any, Any]", request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.name == "definition":
            return DefinitionField(
                label="Definition", help_text=HELP, elsewhere=ELSEWHERE, required=False
            )
        if remedy := OTHERWISE_WITH_HTTP.get(db_field.name):
            kwargs["help_text"] = f"{db_field.help_text} {remedy}"
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    @admin.display(description="definition")
    def shown_definition(self, vendor: Vendor) -> SafeString:
        return shown(vendor.definition)

    @admin.display(description="Required input")
    def required(self, vendor: Vendor) -> str:
        return ", ".join(vendor.required_fields) or "none"

    @admin.display(description="Can be called")
    def usable(self, vendor: Vendor) -> str | SafeString:
        if vendor._state.adding:
            return "-"
        found = (_of_workers(vendor), _of_callbacks(vendor), _of_account(vendor))
        lines = [line for line in found if line]
        return format_html_join("\n", "<div>{}</div>", ((line,) for line in lines))


def _replaced(names: Iterable[Any], by: Mapping[Any, str]) -> Iterator[Any]:
    """Yield the names of fields as `by` has them; '' leaves a field out."""
    return filter(None, (by.get(name, name) for name in names))


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


def _of_account(vendor: Vendor) -> str:
    """Return where the vendor posts all its callbacks, if it has one URL for them."""
    url = account_url(vendor)
    return f"Tell the vendor to post its answers to {url}" if url else ""
