"""Try a vendor: the request that a job with this input would make, and what came back."""

from django.http import HttpRequest, HttpResponse

from jobs.admin.access import requires
from jobs.console import console


@console.page("vendors/<str:slug>/try/", "vendor_try")
@requires("vendors.try_vendor")
def try_view(request: HttpRequest, slug: str) -> HttpResponse:
    raise NotImplementedError
