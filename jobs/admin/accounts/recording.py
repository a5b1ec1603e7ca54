"""Audit entries for what superusers do to users and groups."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import Permission
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from audit.record import record
from jobs.admin.actor import actor
from jobs.admin.clients.history import AuditedAdmin

PASSWORDS = ("usable_password", "password1", "password2")
# They change, but their values are nobody's business.
PERSONAL = ("first_name", "last_name", "email")
NOT_KEPT = "…"


class RecordedAdmin(AuditedAdmin):
    """Writes an entry for each row that is added, changed or deleted. `kind`: as in user:ann."""

    kind = ""

    def audit_target(self, obj: Any) -> str:
        return f"{self.kind}:{obj}"[:100]

    def record(
        self, request: HttpRequest, obj: Model, done: str, changes: dict[str, Any] | None = None
    ) -> None:
        record(actor(request), f"{self.kind}.{done}", self.audit_target(obj), changes)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        changes = _changes(form, keeps_old=change)
        if changes or not change:
            self.record(request, form.instance, "changed" if change else "created", changes)

    def delete_model(self, request: HttpRequest, obj: Model) -> None:
        super().delete_model(request, obj)
        self.record(request, obj, "deleted")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        rows = list(queryset)
        super().delete_queryset(request, queryset)
        for row in rows:
            self.record(request, row, "deleted")


def _changes(form: Any, *, keeps_old: bool) -> dict[str, list[Any]]:
    names = [name for name in form.changed_data if name not in PASSWORDS]
    return {
        name: [
            _kept(name, form.initial.get(name)) if keeps_old else None,
            _kept(name, form.cleaned_data[name]),
        ]
        for name in names
    }


def _kept(name: str, value: Any) -> Any:
    if name in PERSONAL:
        return NOT_KEPT if value else ""
    if isinstance(value, Iterable) and not isinstance(value, str):
        return sorted(
            each.codename if isinstance(each, Permission) else str(each) for each in value
        )
    return value if isinstance(value, (str, bool, type(None))) else str(value)
