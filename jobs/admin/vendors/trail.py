"""The audit trail of vendors, credentials and limits: what people have done to each of them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Model
from django.http import HttpRequest

from audit.record import record
from jobs.admin.actor import actor
from jobs.admin.clients.history import AuditedAdmin
from vendors.loading.changes import NOT_SET, changes
from vendors.payloads.masking import MASK

MAX_LENGTH = 500
SECRET_NAMES = re.compile(r"auth|key|token|secret|password|cookie|signature", re.IGNORECASE)
SECRET_PARAMETERS = re.compile(rf"(?i)([?&][^=&\s]*(?:{SECRET_NAMES.pattern})[^=&\s]*=)[^&\s#]*")
# They end the names of what holds no secret: of variables and files, and of where one stands.
NO_SECRETS = ("_env", "_file", "_url", "_header", "header", "query", "credential")


def target_of(row: Model) -> str:
    """Return how audit entries name a vendor, a credential or a limit."""
    return f"{row._meta.model_name}:{row}"


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the changed fields, each with its old and new value; of a definition, its keys."""
    return {
        each.name: [_shown(each.name, each.old), _shown(each.name, each.new)]
        for each in changes(dict(old), dict(new))
    }


def _shown(name: str, value: Any) -> Any:
    """Return the value fit for the trail: without secrets, which a definition should not hold."""
    if value is NOT_SET or value is None or isinstance(value, bool | int | float):
        return None if value is NOT_SET else value
    last = name.rpartition(".")[2]
    if isinstance(value, str):
        if SECRET_NAMES.search(last) and not last.endswith(NO_SECRETS):
            return MASK
        return SECRET_PARAMETERS.sub(rf"\1{MASK}", value)[:MAX_LENGTH]
    if isinstance(value, dict):
        return {key: _shown(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(name, item) for item in value]
    return str(value)[:MAX_LENGTH]


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
