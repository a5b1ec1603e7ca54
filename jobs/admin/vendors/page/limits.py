"""Change the limits of a vendor. Their effect is shown before they can be saved."""

import json
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse

from audit.record import record
from jobs.admin.access import requires
from jobs.admin.actor import actor
from jobs.admin.vendors import usage
from jobs.admin.vendors.page.acting import back_url, page_of, vendor_of
from jobs.admin.vendors.page.effect import effect, is_much_more
from jobs.console import console
from jobs.monitoring import snapshot
from jobs.storage.store import writing
from vendors.catalogue import catalogue
from vendors.loading.trail import differences, target_of
from vendors.models import Vendor

FIELDS = ("rate_limits", "max_in_flight", "max_queued", "arrival_margin_ms")
ACT, SAVE = "act", "save"
TICK = "This lifts a limit, or makes it at least ten times as high. Tick the box if you mean it."
NOTHING = "Nothing would change."


class LimitsForm(forms.ModelForm):  # type: ignore[type-arg]  # no type argument at run time
    reason = forms.CharField(max_length=200, required=False, help_text="Why, for the audit trail.")
    sure = forms.BooleanField(required=False, label="Yes, at least ten times as much")
    # The values whose effect the page has shown: only these can be saved.
    shown = forms.CharField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = Vendor
        fields = FIELDS
        widgets = {"rate_limits": forms.TextInput(attrs={"size": 40, "autofocus": True})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in FIELDS:
            # The page keeps the values it has shown, so that only edited fields count as changed.
            self.fields[name].show_hidden_initial = True

    @property
    def changed_limits(self) -> list[str]:
        return [name for name in self.changed_data if name in FIELDS]

    @property
    def values(self) -> str:
        return json.dumps([str(self.cleaned_data.get(name)) for name in FIELDS])


@console.page("vendors/<str:slug>/limits/", "vendor_limits")
@requires("vendors.change_vendor_limits")
def limits_view(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: ask. POST: show the effect or, with `act` save, save what has been shown."""
    stored = vendor_of(slug)
    back = back_url(request, page_of(stored))
    found: dict[str, Any] = {}
    form = LimitsForm(instance=vendor_of(slug))
    if request.method == "POST":
        posted: Any = request.POST.copy()
        form = LimitsForm(posted, instance=form.instance)
        if form.is_valid():
            found = _shown(request, stored, form)
            if found.get("may_save") and _save(request, stored, form):
                return HttpResponseRedirect(back)
            # What has been shown now is what the next click may save.
            posted["shown"] = form.values
    context = {
        "title": f"Limits of vendor {stored}",
        "vendor": stored,
        "form": form,
        "back_url": back,
        "usage": usage.of_vendor(stored, has_links=request.user.has_perm("vendors.view_limit")),
        **found,
    }
    return TemplateResponse(
        request, "console/vendor/limits.html", console.context(request, **context)
    )


def _shown(request: HttpRequest, stored: Vendor, form: LimitsForm) -> dict[str, Any]:
    """Return the effect of the change, and whether it may be saved now."""
    if not form.changed_limits:
        return {"effect": [NOTHING]}
    is_much = is_much_more(stored, form.instance)
    lacks_tick = is_much and not form.cleaned_data["sure"]
    wants_save = request.POST.get(ACT) == SAVE
    if wants_save and lacks_tick:
        form.add_error("sure", TICK)
    is_shown = form.cleaned_data["shown"] == form.values
    return {
        "effect": effect(stored, form.instance, snapshot.current().vendor(stored.slug)),
        "is_much": is_much,
        "can_save": True,
        "may_save": wants_save and is_shown and not lacks_tick,
    }


def _save(request: HttpRequest, stored: Vendor, form: LimitsForm) -> bool:
    names, changed = form.changed_limits, form.instance
    old, new = ({name: getattr(row, name) for name in names} for row in (stored, changed))
    changes = differences(old, new)
    reason = form.cleaned_data["reason"]
    with writing():
        record(actor(request), "vendor.limits_changed", target_of(stored), changes, reason=reason)
        # Only these fields: a pause, or another operator's change made since, stays.
        changed.save(update_fields=names)
    catalogue.forget()
    messages.success(
        request, f"The limits of vendor {stored} are changed. They apply within a second."
    )
    return True
