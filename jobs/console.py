"""The console as a site of Django's admin, with pages of its own beside the lists of rows.

Not in jobs.admin: Django makes the site while it imports that package.
"""

from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, URLResolver, path, reverse

from users.site import AccountPages

View = Callable[..., HttpResponse]


class ConsoleSite(AccountPages):
    site_header = site_title = "EnrichLabs"
    index_title = "Overview"
    enable_nav_sidebar = False  # jobs/templates/admin/base.html has the console's own navigation
    # "View site" leads to the API's page, which another process may serve.
    site_url = "/" if "api" in settings.SERVES else None

    def __init__(self, name: str = "admin") -> None:
        super().__init__(name)
        self._pages: list[tuple[str, View, str]] = []

    def page(self, route: str, name: str) -> Callable[[View], View]:
        """Register a view as a page of the console, for signed-in users. It checks their
        permissions itself. Its URL's name is `admin:` and `name`.
        """

        def register(view: View) -> View:
            self._pages.append((route, view, name))
            return view

        return register

    def get_urls(self) -> list[URLPattern | URLResolver]:
        pages: list[Any] = [
            path(route, self.admin_view(view), name=name) for route, view, name in self._pages
        ]
        return [*pages, *super().get_urls()]

    def app_index(self, request: HttpRequest, app_label: str, extra_context: Any = None) -> Any:
        """Lead to the front page: the navigation lists what Django lists for each app."""
        return HttpResponseRedirect(reverse("admin:index"))

    def context(self, request: HttpRequest, **context: Any) -> dict[str, Any]:
        """Return the context of a page of the console."""
        request.current_app = self.name
        return {**self.each_context(request), **context}


# Django makes the site once apps are loaded, and stands in for it until then.
console = cast("ConsoleSite", admin.site)
