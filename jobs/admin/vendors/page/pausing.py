"""Pause and resume vendors in the console. Vendor and audit trail keep why, by whom and when."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from audit.record import record
from jobs.admin import states
from jobs.admin.access import requires
from jobs.admin.actor import actor
from jobs.admin.vendors.page.acting import ReasonForm, ask, back_url, page_of, vendor_of
from jobs.console import console
from jobs.queue.clock import redis_clock
from jobs.recovery.unusable_pauses import has_our_pause
from vendors import pauses
from vendors.definitions.faults import DefinitionFaults
from vendors.loading.trail import target_of
from vendors.models import Credential, CredentialKey, Vendor

REASON_WIDGET = forms.TextInput(attrs={"size": 60, "autofocus": True})
ALREADY_PAUSED = "Vendor {} is already paused. Resume it first to change the pause."
PAUSED_FOR_LONGER = "Vendor {} is already paused for longer. Resume it first to shorten the pause."
PAUSED = (
    "A paused vendor is not called. New jobs are accepted and wait, calls in progress finish, and "
    "callbacks are still processed."
)
RESUMED = "Its jobs are called again, within its limits."

ENDS_BY_ITSELF = (
    "Vendor {} is paused because no worker can call it. The pause ends by itself once a worker can."
)
KEYS_PAUSED = (
    "Vendor {0} is paused because all keys of its credential are. Resume one of them on the page "
    "of the credential {1}: {2}."
)
MAX_PAUSE = timedelta(days=366)
LENGTHS = (("", "until somebody resumes it"), *((str(n), f"for {n} min") for n in (15, 30)))
LENGTHS = (*LENGTHS, ("60", "for 1 h"), ("240", "for 4 h"), ("1440", "for 1 day"))


class PauseForm(forms.Form):
    reason = forms.CharField(max_length=200, widget=REASON_WIDGET)
    length = forms.ChoiceField(required=False, choices=LENGTHS, label="How long")
    until = forms.DateTimeField(
        required=False,
        label="Until (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="A time of your own, in place of the above.",
    )

    def clean_until(self) -> Any:
        until = self.cleaned_data["until"]
        if until and until <= timezone.now():
            raise forms.ValidationError("Must be in the future.", code="past")
        if until and until > timezone.now() + MAX_PAUSE:
            raise forms.ValidationError("Must be within a year from now.", code="far")
        return until

    def clean(self) -> dict[str, Any]:
        """Return the reason, and until when."""
        given = self.cleaned_data
        minutes, until = given.pop("length", ""), given.get("until")
        if minutes and until is None:
            given["until"] = timezone.now() + timedelta(minutes=int(minutes))
        return given


class PausingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no type argument at run time
    actions = ("pause_vendors", "resume_vendors")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("vendors.pause_vendor")

    @admin.action(permissions=["pause"], description="Pause selected vendors")
    def pause_vendors(self, request: HttpRequest, queryset: QuerySet[Vendor]) -> HttpResponse:
        return _ask_pause(request, list(queryset), PauseForm())

    @admin.action(permissions=["pause"], description="Resume selected vendors")
    def resume_vendors(self, request: HttpRequest, queryset: QuerySet[Vendor]) -> None:
        _resume(request, queryset)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(_pause_selected)
        return [
            path("pause-selected/", view, name="vendors_vendor_pause_selected"),
            *super().get_urls(),
        ]


@requires("vendors.pause_vendor")
def _pause_selected(request: HttpRequest) -> HttpResponse:
    """POST: pause the vendors in `ids`, or ask again if the form has errors."""
    vendors = list(Vendor.objects.filter(pk__in=request.POST.get("ids", "").split()))
    if not vendors:
        messages.warning(request, "No such vendor. It may have been deleted.")
        return HttpResponseRedirect(reverse("admin:vendors_vendor_changelist"))
    form = PauseForm(request.POST)
    if not form.is_valid():
        return _ask_pause(request, vendors, form)
    _pause(request, vendors, **form.cleaned_data)
    return HttpResponseRedirect(_back_url(request, vendors))


@console.page("vendors/<str:slug>/pause/", "vendor_pause")
@requires("vendors.pause_vendor")
def pause_view(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: ask why and until when. POST: pause the vendor."""
    vendor = vendor_of(slug)
    form = PauseForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _ask_pause(request, [vendor], form)
    _pause(request, [vendor], **form.cleaned_data)
    return HttpResponseRedirect(_back_url(request, [vendor]))


@console.page("vendors/<str:slug>/resume/", "vendor_resume")
@requires("vendors.pause_vendor")
def resume_view(request: HttpRequest, slug: str) -> HttpResponse:
    """GET: ask whether to. POST: resume the vendor."""
    vendor = vendor_of(slug)
    if request.method == "POST":
        _resume(request, [vendor], reason=request.POST.get("reason", "")[:200])
        return HttpResponseRedirect(_back_url(request, [vendor]))
    lines = [f"It is {_pause_of(vendor)}.", RESUMED]
    return ask(
        request,
        title=f"Resume vendor {vendor}?",
        verb="Resume",
        lines=lines,
        form=ReasonForm(),
        back=_back_url(request, [vendor]),
        vendor=vendor,
    )


def _ask_pause(request: HttpRequest, vendors: list[Vendor], form: PauseForm) -> HttpResponse:
    is_one = len(vendors) == 1
    return ask(
        request,
        title=f"Pause vendor {vendors[0]}?" if is_one else f"Pause {len(vendors)} vendors?",
        verb="Pause",
        lines=[PAUSED],
        names=[] if is_one else [vendor.slug for vendor in vendors],
        form=form,
        back=_back_url(request, vendors),
        vendor=vendors[0] if is_one else None,
        act_url=reverse("admin:vendors_vendor_pause_selected"),
        ids=" ".join(vendor.pk for vendor in vendors),
    )


def _pause(request: HttpRequest, vendors: Iterable[Vendor], *, reason: str, until: Any) -> None:
    by = request.user.get_username()
    for vendor in vendors:
        before = _pause_of(vendor)
        if until:
            is_changed = pauses.pause_until(vendor.slug, until, reason, by, now=redis_clock.now())
        else:
            is_changed = pauses.pause(vendor.slug, reason, by)
        if is_changed:
            _record(request, vendor, "paused", before, reason=reason)
        else:
            warning = PAUSED_FOR_LONGER if until else ALREADY_PAUSED
            messages.warning(request, warning.format(vendor))


def _resume(request: HttpRequest, vendors: Iterable[Vendor], *, reason: str = "") -> None:
    for vendor in vendors:
        before = _pause_of(vendor)
        if before == "running":
            messages.warning(request, f"Vendor {vendor} is not paused.")
        elif has_our_pause(vendor):  # the sweep would pause it again
            messages.warning(request, ENDS_BY_ITSELF.format(vendor))
        elif stay := _keys_paused_by_people(vendor):
            names = ", ".join(f"{row.name} was paused by {row.paused_by}" for row in stay)
            text = KEYS_PAUSED.format(vendor, vendor.credential, names)
            messages.warning(request, text)
        else:
            paused = {row.name for row in _keys_of(vendor)}
            if pauses.resume(vendor.slug, now=redis_clock.now()):
                resumed = paused - {row.name for row in _keys_of(vendor)}
                _record(request, vendor, "resumed", before, resumed, reason=reason)


def _record(
    request: HttpRequest,
    vendor: Vendor,
    done: str,
    before: str,
    keys: Collection[str] = (),
    *,
    reason: str,
) -> None:
    """Record the act. `keys`: of its credential, to which the same was done."""
    vendor.refresh_from_db()
    change = {"state": [before, _pause_of(vendor)]}
    if keys:
        change["keys"] = ["paused", f"running: {', '.join(sorted(keys))}"]
    record(actor(request), f"vendor.{done}", target_of(vendor), change, reason=reason)
    if keys and vendor.credential:
        of_keys = {name: ["paused", f"{done} with vendor {vendor}"] for name in sorted(keys)}
        target = target_of(vendor.credential)
        record(actor(request), f"credential.key_{done}", target, of_keys, reason=reason)
    also = f" {done.capitalize()} with it: {', '.join(sorted(keys))}." if keys else ""
    messages.success(request, f"Vendor {vendor} is {done}.{also}")


def _pause_of(vendor: Vendor) -> str:
    return states.pause(vendor) if vendor.is_paused(timezone.now()) else "running"


def paused_keys(credential: Credential) -> list[CredentialKey]:
    """Return those of the credential's keys that are paused, as the store has them now."""
    now, rows = redis_clock.now(), CredentialKey.objects.filter(credential=credential.slug)
    names = credential.key_names
    return [row for row in rows if row.is_paused(now) and row.name in names]


def _keys_of(vendor: Vendor) -> list[CredentialKey]:
    return paused_keys(vendor.credential) if vendor.credential else []


def _keys_paused_by_people(vendor: Vendor) -> list[CredentialKey]:
    """Return the keys of the vendor, if people have paused all that calls are made with: the sweep
    would pause the vendor again.
    """
    if vendor.paused_by:
        return []
    stay = [row for row in _keys_of(vendor) if row.paused_by]
    try:
        names = vendor.credential.scheme.keys if vendor.credential else ()
    except DefinitionFaults:
        return []
    return stay if names and {*names} <= {row.name for row in stay} else []


def _back_url(request: HttpRequest, vendors: list[Vendor]) -> str:
    is_one = len(vendors) == 1
    otherwise = page_of(vendors[0]) if is_one else reverse("admin:vendors_vendor_changelist")
    return back_url(request, otherwise)
