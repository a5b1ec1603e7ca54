"""Which audit entries to list: what the filters of the page say."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.http import urlencode

from audit.models import Entry
from jobs.api.pagination import first_id_at

MAX_LENGTH = 150
OF_ID = ("job", "batch", "callback", "bulk")  # kinds of targets that are named by a UUID
OF_NAME = ("vendor", "client", "credential", "limit", "user", "worker", "group", "api_key")


@dataclass(frozen=True)
class Choice:
    """Values as they stand in the URL; empty for any. `before`: older than this entry."""

    target: str = ""
    actor: str = ""
    action: str = ""
    since: str = ""
    until: str = ""
    before: str = ""

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> "Choice":
        given = {
            field.name: query.get(field.name, "").strip()[:MAX_LENGTH] for field in fields(cls)
        }
        return cls(**{name: value.replace("\0", "") for name, value in given.items()})

    def as_query(self, **changes: str) -> str:
        values = {field.name: getattr(self, field.name) for field in fields(self)} | changes
        return urlencode({name: value for name, value in values.items() if value})

    @property
    def faults(self) -> dict[str, str]:
        """What is wrong with the times, by field. A wrong one does not filter."""
        text = "Write a time such as 2026-01-31 12:00, in UTC."
        times = {name: getattr(self, name) for name in ("since", "until")}
        return {name: text for name, value in times.items() if value and not _time(value)}

    def entries(self) -> QuerySet[Entry]:
        """Return the entries, newest first. Ids are in the order of time."""
        found = Entry.objects.filter(**dict(self._conditions()))
        return found.order_by("-id")

    def _conditions(self) -> Iterator[tuple[str, Any]]:
        if self.target:
            yield _of_target(self.target)
        for name in ("actor", "action"):
            if value := getattr(self, name):
                yield name, value
        if since := _time(self.since):
            yield "id__gte", first_id_at(since)
        until = _time(self.until)
        bounds = [first_id_at(until)] if until else []
        if bounds := [*bounds, *([self.before] if self.before else [])]:
            yield "id__lt", min(bounds)


def _of_target(text: str) -> tuple[str, Any]:
    """Return the condition for a target as people write it: also without its kind."""
    if ":" in text:
        return "target", text
    if text.startswith("elk_"):
        return "target", f"api_key:{text.removeprefix('elk_')[:8]}"
    kinds = OF_ID if _is_id(text) else OF_NAME
    name = text.lower() if kinds is OF_ID else text
    return "target__in", [f"{kind}:{name}" for kind in kinds]


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def _time(text: str) -> datetime | None:
    """Return an ISO 8601 time, in UTC unless it has an offset; None if it is none."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
