"""The rows of the bulk actions under way."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.http import HttpRequest
from django.utils.safestring import SafeString

from jobs.admin.overview.links import url
from jobs.admin.page.texts import bar
from jobs.models import BulkAction


@dataclass(frozen=True)
class BulkRow:
    action: BulkAction
    url: str
    progress: SafeString


def bulk_rows(actions: Iterable[BulkAction], request: HttpRequest) -> list[BulkRow]:
    may_see = request.user.has_perm("jobs.view_bulkaction")
    return [
        BulkRow(action, url("bulk_action", action.pk) if may_see else "", _progress(action))
        for action in actions
    ]


def _progress(action: BulkAction) -> SafeString:
    seen = action.done + sum((action.skipped or {}).values())
    planned = f"{action.planned:,}{'+' if action.planned_is_bound else ''}"
    return bar(seen, max(action.planned, seen), f"{seen:,} of {planned}", "info")
