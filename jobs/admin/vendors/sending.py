"""Where credentials are sent: changing that needs a permission of its own."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from vendors import credentials
from vendors.models import Credential, Vendor

PERMISSION = "vendors.change_credential_target"
REFUSAL = (
    "This would change where a credential is sent, or send another vendor's key. Ask a superuser "
    "for the permission change_credential_target."
)
# These keys of a vendor's definition decide where its calls go, or which key they carry.
TARGET_KEYS = ("credential", "proxy_env", "ca_file", "client_cert_file")
NAMES = ("keys_env", "retired_env")


def may_change(request: HttpRequest) -> bool:
    return request.user.has_perm(PERMISSION)


def changes_target(stored: Vendor | None, changed: Vendor) -> bool:
    """Whether the changed vendor would send a credential elsewhere than the stored one does."""
    known = {name for each in Credential.objects.all() for name in each.variable_names}
    target = _target(changed, known)
    return bool(target) and (stored is None or target != _target(stored, known))


def changes_place(stored: Credential, definition: Mapping[str, Any]) -> bool:
    """Whether the definition would send the credential elsewhere or otherwise than the stored one
    does, or send a key that is not its own, or use one of its variables for something else: a
    secret that only signs would be sent as a key.
    """
    known = _roles(stored.definition)
    roles = _roles(definition).items()
    if any(its_roles - known[name] for name, its_roles in roles if name in known):
        return True
    added = {*credentials.variables_of(definition)} - {*stored.variable_names}
    return _place(definition) != _place(stored.definition) or bool(added & _used_by_others(stored))


def _target(vendor: Vendor, known: set[str]) -> tuple[object, ...]:
    """Return where the vendor sends a credential, or a variable of one; () if it sends none."""
    definition = vendor.definition
    if not definition.get("credential") and vendor.api_key_env not in known:
        return ()
    keys = (definition.get(key) for key in TARGET_KEYS)
    return vendor.adapter, *urls_of(vendor), vendor.api_key_env, *keys


def urls_of(vendor: Vendor) -> list[Any]:
    """Return the URLs of the vendor's calls, polls and checks, which may be no valid ones yet."""
    tables = (vendor.definition.get(name) for name in ("poll", "check"))
    return [vendor.url, *(table.get("url") for table in tables if isinstance(table, dict))]


def _place(definition: Mapping[str, Any]) -> dict[str, object]:
    """Return what a definition says besides the names of variables."""
    found: dict[str, object] = {}
    for key, value in definition.items():
        if key not in NAMES:
            is_name = key.endswith("_env") and not isinstance(value, dict)
            found[key] = _inner(key, value) if isinstance(value, dict) else is_name or value
    return found


def _inner(key: str, table: dict[str, Any]) -> object:
    """Return the fields of a table of names, or what a table says besides names."""
    return sorted(table) if key.endswith("_env") else _place(table)


def _roles(definition: Mapping[str, Any], path: str = "") -> dict[str, set[str]]:
    """Return what each variable is used for. All keys have one role, retired or not."""
    found: dict[str, set[str]] = defaultdict(set)
    for key, value in definition.items():
        role = "keys_env" if key in NAMES else f"{path}{key}"
        if isinstance(value, dict):
            # Of a table of names, each key is the name of a field.
            fields = {f"{it}_env": name for it, name in value.items()}
            inner = fields if key.endswith("_env") else value
            for name, roles in _roles(inner, f"{role}.").items():
                found[name] |= roles
        elif key.endswith("_env"):
            for name in value if isinstance(value, list) else [value]:
                found[str(name)].add(role)
    return found


def _used_by_others(credential: Credential) -> set[str]:
    """Return the variables that other credentials and the vendors themselves name."""
    others = Credential.objects.exclude(pk=credential.pk)
    found = {name for each in others for name in each.variable_names}
    for vendor in Vendor.objects.all():
        vendor.credential = None
        found |= vendor.variable_names
    return found
