"""Callbacks in Django's admin, which gives their pages their URLs and names."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from jobs.admin.callbacks import listing, page
from jobs.admin.lists.read_only import ReadOnlyAdmin
from jobs.models import Callback


@admin.register(Callback)
class CallbackAdmin(ReadOnlyAdmin):
    def list_of(self, request: HttpRequest) -> HttpResponse:
        return listing.changelist(request)

    def show(self, request: HttpRequest, row: Any) -> HttpResponse:
        return page.show(request, row)

    def get_urls(self) -> list[URLPattern]:
        views = {"show": page.show_body, "apply": page.apply_callback}
        return [*self.row_urls(views), *super().get_urls()]
