"""The doors that this process opens, as settings.SERVES names them."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

DOORS: dict[str, URLResolver] = {
    "api": path("", include("jobs.urls")),
    "admin": path("admin/", admin.site.urls),
    "webhooks": path("vendor-webhook/", include("webhooks.urls")),
    "mock": path("mock-vendors/", include("vendors.mock.urls")),
}
urlpatterns: list[URLPattern | URLResolver] = [DOORS[name] for name in settings.SERVES]
