"""The page about errors."""

from django.http import HttpRequest, HttpResponse

from jobs.admin.access import requires
from jobs.console import console


@console.page("errors/", "errors")
@requires("jobs.view_job")
def errors_view(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError
