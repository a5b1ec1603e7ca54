from django.urls import URLPattern, URLResolver, path

from vendors.mock import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("sync", views.sync_vendor),
    path("async", views.async_vendor),
    path("ledger", views.show_ledger),
]
