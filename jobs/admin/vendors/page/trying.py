"""Try a vendor: the request that a job with this input would make, and what came back.

It is the call of `manage.py vendor try`. Neither the input nor the answer is kept.
"""

import copy
from functools import partial
from threading import BoundedSemaphore
from typing import Any

import redis
from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache

from audit.record import record
from jobs.admin import formats
from jobs.admin.access import requires
from jobs.admin.actor import actor
from jobs.admin.vendors.page.acting import vendor_of
from jobs.console import console
from jobs.recovery import unusable
from jobs.trials import trying
from jobs.trials.preview import OWN_CODE, preview
from jobs.trials.report import report
from jobs.trials.trying import RefusedError
from jobs.worker import trial
from vendors.base import Outcome
from vendors.catalogue import catalogue
from vendors.loading.trail import target_of
from vendors.models import Vendor
from vendors.registry import is_built_in

# A page is waited for: a slower vendor can be tried with the command.
MAX_TIMEOUT_SECONDS = 25.0
MAX_AT_ONCE = 2  # in this process, so that slow vendors leave threads for everybody else
HIDDEN = "Hidden: seeing what vendors answer needs the permission view_personal_data."
UNDER_WAY = "under way"
BUSY = "Others are trying vendors now. Repeat this in a moment."
SUCCESSES = (Outcome.FOUND, Outcome.NO_DATA, Outcome.PENDING)

_slots = BoundedSemaphore(MAX_AT_ONCE)


class TryForm(forms.Form):
    input = forms.CharField(
        label="Input (JSON)",
        required=False,
        widget=forms.Textarea(attrs={"class": "code", "rows": 6, "spellcheck": "false"}),
    )
    reference = forms.CharField(
        required=False,
        max_length=255,
        label="Poll for the vendor's reference",
        help_text="Only to ask for the answer to an earlier call: what the vendor calls it.",
    )

    def __init__(self, vendor: Vendor, data: Any = None) -> None:
        super().__init__(data, initial={"input": trying.example(vendor)})
        self.by_reference = vendor.polling is not None and trying.asks_by_reference(vendor)
        if not self.by_reference:
            del self.fields["reference"]


@console.page("vendors/<str:slug>/try/", "vendor_try")
@never_cache
@requires("vendors.try_vendor")
def try_view(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: ask for an input. POST: show the request or, with `act` call, make the call."""
    vendor = vendor_of(slug)
    vendor = catalogue.get(slug) or vendor
    form = TryForm(vendor, request.POST if request.method == "POST" else None)
    found: dict[str, Any] = {}
    if request.method == "POST" and form.is_valid():
        try:
            found = _act(request, vendor, form)
        except RefusedError as error:
            found = {"refusal": str(error)}
    context = {
        "title": f"Try vendor {vendor}",
        "vendor": vendor,
        "form": form,
        "by_reference": form.by_reference,
        "can_preview": is_built_in(vendor.adapter),
        "is_custom": not is_built_in(vendor.adapter),
        "own_code": OWN_CODE,
        "may_see": request.user.has_perm("jobs.view_personal_data"),
        "hidden": HIDDEN,
        **found,
    }
    return TemplateResponse(request, "console/vendor/try.html", console.context(request, **context))


def _act(request: HttpRequest, vendor: Vendor, form: TryForm) -> dict[str, Any]:
    """Return what the page shows. Raises RefusedError."""
    if fault := unusable.fault(vendor):
        raise RefusedError(f"Can't call vendor {vendor} from here: {fault}")
    reference = form.cleaned_data.get("reference", "")
    text = form.cleaned_data["input"] or "{}"
    given = trying.read_input(vendor, text, is_complete=not reference)
    if request.POST.get("act") != "call":
        return {"report": preview(vendor, given)}
    if not _slots.acquire(blocking=False):
        raise RefusedError(BUSY)
    try:
        return _call(request, vendor, given, reference)
    finally:
        _slots.release()


def _call(
    request: HttpRequest, vendor: Vendor, given: dict[str, Any], reference: str
) -> dict[str, Any]:
    try:
        warnings = list(trying.warnings(vendor))
    except redis.RedisError:
        warnings = []  # without Redis, no call is made, and that says why
    patient = _patient(vendor)
    # Before the call, which may cost: without the store, none is made.
    _record(request, vendor, {"outcome": [None, UNDER_WAY]})
    make = partial(trial.poll, patient, given, reference)
    try:
        made = trying.made(patient, make if reference else partial(trial.run, patient, given))
    except RefusedError:
        _record(request, vendor, {"outcome": [UNDER_WAY, "not called"]})
        raise
    found = report(vendor, made)
    _record(request, vendor, _changes(found))
    return {
        "report": found,
        "is_sent": True,
        "warnings": warnings,
        "tone": "good" if found["outcome"] in SUCCESSES else "bad",
        "rule": next((each["rule"] for each in reversed(found["exchanges"])), ""),
        "removed": [path for each in found["exchanges"] for path in each["removed"]],
        "result": formats.pretty(found["result"]),
    }


def _patient(vendor: Vendor) -> Vendor:
    """Return the vendor with a deadline for which a page can be waited for."""
    if vendor.timeout_seconds <= MAX_TIMEOUT_SECONDS:
        return vendor
    patient = copy.copy(vendor)
    patient.timeout_seconds = MAX_TIMEOUT_SECONDS
    vars(patient).pop("settings_key", None)
    return patient


def _changes(found: dict[str, Any]) -> dict[str, list[Any]]:
    changes = {"outcome": [UNDER_WAY, found["outcome"]]}
    if found["cost"] is not None:
        changes["cost"] = [None, found["cost"]]
    return changes


def _record(request: HttpRequest, vendor: Vendor, changes: dict[str, list[Any]]) -> None:
    """Record that the vendor is called, but neither with what nor what it answers."""
    record(actor(request), "vendor.tried", target_of(vendor), changes)
