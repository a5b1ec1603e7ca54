"""Pause and resume vendors in the console. Vendor and history keep why, by whom and when."""

from collections.abc import Collection, Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from jobs.admin import states
from jobs.queue.clock import redis_clock
from jobs.recovery.unusable_pauses import has_our_pause
from vendors import pauses
from vendors.definitions.faults import DefinitionFaults
from vendors.models import Credential, CredentialKey, Vendor

REASON_WIDGET = forms.TextInput(attrs={"size": 60, "autofocus": True})
ALREADY_PAUSED = "Vendor {} is already paused. Resume it first to change the pause."
PAUSED_FOR_LONGER = "Vendor {} is already paused for longer. Resume it first to shorten the pause."

ENDS_BY_ITSELF = (
    "Vendor {} is paused because no worker can call it. The pause ends by itself once a worker can."
)
KEYS_PAUSED = (
    "Vendor {0} is paused because all keys of its credential are. Resume one of them on the page "
    "of the credential {1}: {2}."
)


class PauseForm(forms.Form):
    reason = forms.CharField(max_length=200, widget=REASON_WIDGET)
    until = forms.DateTimeField(
        required=False,
        label="Until (UTC)",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
        help_text="Leave empty to pause until an operator resumes the vendor.",
    )

    def clean_until(self) -> Any:
        until = self.cleaned_data["until"]
        if until and until <= timezone.now():
            raise forms.ValidationError("Must be in the future.", code="past")
        return until


class PausingAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # no type argument at run time
    actions = ("pause_vendors", "resume_vendors")

    @admin.action(permissions=["change"], description="Pause selected vendors")
    def pause_vendors(self, request: HttpRequest, queryset: QuerySet[Vendor]) -> HttpResponse:
        return self._ask(request, list(queryset), PauseForm())

    @admin.action(permissions=["change"], description="Resume selected vendors")
    def resume_vendors(self, request: HttpRequest, queryset: QuerySet[Vendor]) -> None:
        self._resume(request, queryset)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("pause/", view(self._pause_view), name="vendors_vendor_pause_selected"),
            path("<path:object_id>/pause/", view(self._pause_view), name="vendors_vendor_pause"),
            path("<path:object_id>/resume/", view(self._resume_view), name="vendors_vendor_resume"),
            *super().get_urls(),
        ]

    def _pause_view(self, request: HttpRequest, object_id: str = "") -> HttpResponse:
        """GET: ask for the reason. POST: pause the vendor in the URL, or those in `ids`."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        ids = [unquote(object_id)] if object_id else request.POST.get("ids", "").split()
        vendors = list(Vendor.objects.filter(pk__in=ids))
        if not vendors:
            messages.warning(request, "No such vendor. It may have been deleted.")
            return HttpResponseRedirect(reverse("admin:vendors_vendor_changelist"))
        form = PauseForm(request.POST if request.method == "POST" else None)
        if not form.is_valid():
            return self._ask(request, vendors, form)
        self._pause(request, vendors, **form.cleaned_data)
        return HttpResponseRedirect(_back_url(vendors))

    def _resume_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        self._resume(request, Vendor.objects.filter(pk=unquote(object_id)))
        return HttpResponseRedirect(reverse("admin:vendors_vendor_change", args=[object_id]))

    def _ask(self, request: HttpRequest, vendors: list[Vendor], form: PauseForm) -> HttpResponse:
        these = f"{len(vendors)} vendors" if len(vendors) > 1 else f"vendor {vendors[0]}"
        context = {
            **self.admin_site.each_context(request),
            "title": f"Pause {these}?",
            "opts": self.opts,
            "vendors": vendors,
            "form": form,
            "back_url": _back_url(vendors),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/vendors/vendor/pause.html", context)

    def _pause(
        self, request: HttpRequest, vendors: Iterable[Vendor], *, reason: str, until: Any
    ) -> None:
        by = request.user.get_username()
        for vendor in vendors:
            before = _pause_of(vendor)
            if until:
                is_changed = pauses.pause_until(
                    vendor.slug, until, reason, by, now=redis_clock.now()
                )
            else:
                is_changed = pauses.pause(vendor.slug, reason, by)
            if is_changed:
                self._log(request, vendor, "paused", before)
            else:
                warning = PAUSED_FOR_LONGER if until else ALREADY_PAUSED
                messages.warning(request, warning.format(vendor))

    def _resume(self, request: HttpRequest, vendors: Iterable[Vendor]) -> None:
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
                    self._log(request, vendor, "resumed", before, resumed)

    def _log(
        self,
        request: HttpRequest,
        vendor: Vendor,
        done: str,
        before: str,
        keys: Collection[str] = (),
    ) -> None:
        """`keys`: of its credential, to which the same was done."""
        vendor.refresh_from_db()
        message = f"{done.capitalize()}. State: {before} → {_pause_of(vendor)}."
        also = f" {done.capitalize()} with it: {', '.join(sorted(keys))}." if keys else ""
        self.log_change(request, vendor, f"{message}{also}")
        if keys and vendor.credential:
            text = f"{done.capitalize()} with vendor {vendor}: {', '.join(sorted(keys))}."
            self.log_change(request, vendor.credential, text)
        messages.success(request, f"Vendor {vendor} is {done}.{also}")

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        vendor = kwargs.get("obj")
        paused = vendor is not None and vendor.is_paused(timezone.now())
        return super().render_change_form(request, context | {"paused": paused}, *args, **kwargs)


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


def _back_url(vendors: list[Vendor]) -> str:
    if len(vendors) == 1:
        return reverse("admin:vendors_vendor_change", args=[quote(vendors[0].pk)])
    return reverse("admin:vendors_vendor_changelist")
