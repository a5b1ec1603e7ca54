"""Pages that ask before an operator acts on a vendor, and where they lead afterwards."""

from collections.abc import Sequence

from django import forms
from django.contrib.admin.utils import quote
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from jobs.console import console
from vendors.models import Vendor

NEXT = "next"


class ReasonForm(forms.Form):
    """Asks why, which stands in the audit trail."""

    reason = forms.CharField(
        max_length=200, required=False, widget=forms.TextInput(attrs={"size": 60})
    )


def vendor_of(slug: str) -> Vendor:
    """Return the vendor as the store has it now. Raises Http404."""
    vendor = Vendor.objects.filter(slug=slug).first()
    if vendor is None:
        raise Http404(f"There is no vendor {slug!r}. It may have been deleted.")
    return vendor


def page_of(vendor: Vendor) -> str:
    return reverse("admin:vendors_vendor_change", args=[quote(vendor.pk)])


def back_url(request: HttpRequest, otherwise: str) -> str:
    """Return where the operator came from, if it is a page of this console."""
    url = request.POST.get(NEXT) or request.GET.get(NEXT) or ""
    is_ours = url.startswith(reverse("admin:index")) and url_has_allowed_host_and_scheme(
        url, {request.get_host()}, require_https=request.is_secure()
    )
    return url if is_ours else otherwise


def ask(
    request: HttpRequest,
    *,
    title: str,
    verb: str,
    lines: Sequence[str],
    form: forms.Form,
    back: str,
    vendor: Vendor | None = None,
    act_url: str = "",
    names: Sequence[str] = (),
    ids: str = "",
) -> HttpResponse:
    """Return a page that asks whether to act. Its form is posted to `act_url`, '' for the page's
    own URL, with `ids` and where to go on to.
    """
    context = {
        "vendor": vendor,  # for the breadcrumbs
        "title": title,
        "verb": verb,
        "lines": lines,
        "form": form,
        "back_url": back,
        "act_url": act_url,
        "names": names,
        "ids": ids,
    }
    return TemplateResponse(request, "console/vendor/ask.html", console.context(request, **context))
