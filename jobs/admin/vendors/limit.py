"""Named limits: how often, and how many at once, the vendors that name one may be called."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from jobs.admin.vendors import usage
from jobs.admin.vendors.shared import SharedAdmin
from jobs.queue.vendor_keys import forget_limit
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.limit import NOTHING
from vendors.models import Limit, faults_of_users

HELP = (
    'What all vendors that name the limit may do together: windows = "10/s, 500/min", '
    "max_in_flight = 10, "
    'quota = { calls = 5000, period = "month", from = 17, zone = "Europe/Berlin" }. '
    'With per = "credential", each key counts on its own. Comments are not kept. While jobs run, '
    "no more is let through than the stricter of the old and the new limit."
)
ELSEWHERE = {
    "limits": "Paste only what stands in [limits.NAME], without this line.",
    "vendors": "A vendor has a page of its own.",
    "credentials": "A credential has a page of its own.",
}


class LimitForm(forms.ModelForm):  # type: ignore[type-arg]  # no type argument at run time
    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        stored = Limit.objects.filter(pk=self.instance.pk).first()
        if stored and "definition" in cleaned:
            stored.definition = cleaned["definition"]
            for slug, sentence in faults_of_users(stored):
                self.add_error("definition", f"Vendor {slug} could not use it. {sentence}")
        return cleaned


@admin.register(Limit)
class LimitAdmin(SharedAdmin):
    form = LimitForm
    heading = "Limits"
    definition_options = {
        "help_text": HELP,
        "rows": 8,
        "elsewhere": ELSEWHERE,
        "error_messages": {"required": NOTHING},
    }
    shown = ("usage", "used_by")
    list_display = ("slug", "windows", "max_in_flight", "quota", "per", "used_by")

    @admin.display(description="Used now")
    def usage(self, limit: Limit) -> str | SafeString:
        return "-" if limit._state.adding else usage.of_limit(limit)

    @admin.display
    def windows(self, limit: Limit) -> str:
        return str(limit.definition.get("windows") or "-")

    @admin.display
    def max_in_flight(self, limit: Limit) -> str:
        return str(limit.definition.get("max_in_flight") or "-")

    @admin.display
    def quota(self, limit: Limit) -> str:
        try:
            return str(limit.rules.quota or "-")
        except DefinitionFaults as error:
            return str(error)

    @admin.display
    def per(self, limit: Limit) -> str:
        return "each key" if "per" in limit.definition else "-"

    def delete_model(self, request: HttpRequest, obj: Limit) -> None:
        super().delete_model(request, obj)
        forget_limit(obj.slug)
