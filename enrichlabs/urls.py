"""The routes that this process serves, as named in settings.SERVES. Its health is always served."""

from typing import NoReturn

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import ImproperlyConfigured
from django.http import Http404, HttpRequest
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView, TemplateView

from clients.scopes import Scope
from enrichlabs.web.favicon import favicon
from enrichlabs.web.health import healthz, readyz
from enrichlabs.web.metrics import metrics
from enrichlabs.web.read_only import read_only
from jobs.api.access.plain_views import requires_scope
from jobs.api.openapi import document


def not_found(request: HttpRequest, rest: str) -> NoReturn:
    raise Http404


# Anybody may read how the API is used.
DOCS: list[URLPattern | URLResolver] = [
    path("", read_only(RedirectView.as_view(pattern_name="docs"))),
    path(
        "docs", read_only(TemplateView.as_view(template_name="enrichlabs/docs.html")), name="docs"
    ),
    path("schema", read_only(document.show), name="schema"),
]
ROUTES: dict[str, list[URLPattern | URLResolver]] = {
    # First: where it is served, a scraper needs no key, whatever else is served.
    "metrics": [path("metrics", metrics)],
    "api": [
        path("", include("jobs.api.urls")),
        *(DOCS if settings.API_DOCS else []),
        path("metrics", requires_scope(Scope.METRICS)(metrics)),
    ],
    "admin": [
        path("admin", read_only(RedirectView.as_view(pattern_name="admin:index"))),
        # Django redirects from here to public pages of rows, which ours don't have.
        path("admin/r/<path:rest>", not_found),
        path("admin/", admin.site.urls),
    ],
    "webhooks": [path("vendor-webhook/", include("webhooks.urls"))],
    "mock": [path("mock-vendors/", include("vendors.mock.urls"))],
}


def routes_of(names: list[str]) -> list[URLPattern | URLResolver]:
    """Return the routes of the named groups. Raises ImproperlyConfigured for an unknown name."""
    if unknown := set(names) - set(ROUTES):
        raise ImproperlyConfigured(
            f"SERVES names {', '.join(sorted(unknown))}. Choose from {', '.join(ROUTES)}."
        )
    return [route for name, group in ROUTES.items() if name in names for route in group]


urlpatterns = [
    path("healthz", healthz),
    path("readyz", readyz),
    path("favicon.ico", read_only(favicon), name="favicon"),  # browsers request it everywhere
    *routes_of(settings.SERVES),
]

handler400 = "jobs.api.problems.bad_request"
handler403 = "jobs.admin.accounts.refusals.forbidden"
handler404 = "jobs.api.problems.not_found"
handler500 = "jobs.admin.faults.server_error"
