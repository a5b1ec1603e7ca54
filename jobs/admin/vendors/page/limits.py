"""Change the limits of a vendor, with the effect shown first."""

from django.http import HttpRequest, HttpResponse

from jobs.admin.access import requires
from jobs.console import console


@console.page("vendors/<str:slug>/limits/", "vendor_limits")
@requires("vendors.change_vendor_limits")
def limits_view(request: HttpRequest, slug: str) -> HttpResponse:
    raise NotImplementedError
