"""The audit trail of vendors, credentials and limits: what people have done to each of them."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest

from audit.record import record
from jobs.admin.actor import actor
from jobs.admin.clients.history import AuditedAdmin
from vendors.loading.trail import target_of


class TrailAdmin(AuditedAdmin):
    """Writes an audit entry for each change on its pages, where Django writes its own log."""

    def audit_target(self, obj: Any) -> str:
        return target_of(obj)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "added")

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """`message`: the differences, as `construct_change_message` returns them."""
        if message:
            action = "limits_changed" if self.are_limits(message) else "changed"
            self._record(request, obj, action, message)

    def log_deletions(self, request: HttpRequest, queryset: Iterable[Any]) -> Any:
        for row in queryset:
            self._record(request, row, "deleted")

    def are_limits(self, changed: Iterable[str]) -> bool:
        """Whether all the changed fields are limits."""
        return False

    def _record(
        self, request: HttpRequest, row: Any, done: str, changed: dict[str, list[Any]] | None = None
    ) -> None:
        record(actor(request), f"{row._meta.model_name}.{done}", target_of(row), changed)
