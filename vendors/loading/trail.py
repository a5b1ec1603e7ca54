"""Audit entries for changes of vendors, credentials and limits: which keys, from what to what."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Model

from vendors.loading.changes import NOT_SET, Change, changes
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
    return values_of(changes(dict(old), dict(new)))


def values_of(found: Iterable[Change]) -> dict[str, list[Any]]:
    """Return the changed keys, each with its old and new value."""
    return {each.name: [_kept(each.name, each.old), _kept(each.name, each.new)] for each in found}


def _kept(name: str, value: Any) -> Any:
    """Return the value fit for the trail: without secrets, which a definition should not hold."""
    if value is NOT_SET or value is None or isinstance(value, bool | int | float):
        return None if value is NOT_SET else value
    last = name.rpartition(".")[2]
    if isinstance(value, str):
        if SECRET_NAMES.search(last) and not last.endswith(NO_SECRETS):
            return MASK
        return SECRET_PARAMETERS.sub(rf"\1{MASK}", value)[:MAX_LENGTH]
    if isinstance(value, dict):
        return {key: _kept(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_kept(name, item) for item in value]
    return str(value)[:MAX_LENGTH]
