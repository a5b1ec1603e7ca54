"""Audit entries as the page and the file show them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from audit.actions import in_words
from audit.models import Entry
from jobs.admin.audit.choice import OF_ID
from jobs.admin.audit.targets import links
from jobs.admin.formats import truncated
from jobs.admin.page.texts import exact

MAX_NAME = 20  # characters of an id that are shown whole
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00")
MAX_VALUE = 200  # characters of a value on the page


@dataclass(frozen=True)
class Change:
    name: str
    old: str
    new: str


@dataclass(frozen=True)
class Row:
    entry: Entry
    did: str
    kind: str  # of what was acted on
    name: str  # as short as it fits
    url: str
    bulk_url: str
    changes: list[Change]


def rows(request: HttpRequest, entries: Iterable[Entry]) -> list[Row]:
    entries = list(entries)
    urls = links(request, {entry.target for entry in entries})
    return [_row(request, entry, urls.get(entry.target, "")) for entry in entries]


def _row(request: HttpRequest, entry: Entry, url: str) -> Row:
    kind, _, name = entry.target.partition(":")
    return Row(
        entry=entry,
        did=in_words(entry.action),
        kind=kind.replace("_", " "),
        name=f"…{name[-12:]}" if kind in OF_ID and len(name) > MAX_NAME else name,
        url=url,
        bulk_url=_bulk_url(request, entry.bulk),
        changes=changes(entry),
    )


def changes(entry: Entry) -> list[Change]:
    """Return the changed fields, each with its old and new value in words."""
    return [Change(name, _shown(old), _shown(new)) for name, (old, new) in entry.changes.items()]


def _shown(value: Any) -> str:
    match value:
        case None | "" | [] | {}:
            return "–"
        case bool():
            return "yes" if value else "no"
        case list():
            return truncated(", ".join(map(str, value)), MAX_VALUE)
    return truncated(_time(str(value)), MAX_VALUE)


def _time(text: str) -> str:
    """Return an ISO 8601 time as people read it, and any other text as it is."""
    return exact(datetime.fromisoformat(text)) if TIME.fullmatch(text) else text


def _bulk_url(request: HttpRequest, bulk: str) -> str:
    if not bulk or not request.user.has_perm("jobs.view_bulkaction"):
        return ""
    try:
        return reverse("admin:bulk_action", args=[bulk])
    except NoReverseMatch:
        return ""
