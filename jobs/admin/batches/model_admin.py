"""Batches in Django's admin, which gives their pages their URLs and names."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from jobs.admin.batches import listing, page
from jobs.admin.lists.read_only import ReadOnlyAdmin
from jobs.models import Batch


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    def list_of(self, request: HttpRequest) -> HttpResponse:
        return listing.changelist(request)

    def show(self, request: HttpRequest, row: Any) -> HttpResponse:
        return page.show(request, row)
