"""Links from audit entries to what was acted on."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from clients.models import ApiKey, Client
from vendors.models import Credential, Limit, Vendor


@dataclass(frozen=True)
class Kind:
    """A kind of target: its page, who may see that, and for names how rows are found."""

    page: str
    permission: str
    model: type[Model] | None = None
    column: str = ""


KINDS = {
    "api_key": Kind("clients_apikey_change", "clients.view_apikey", ApiKey, "public"),
    "batch": Kind("jobs_batch_change", "jobs.view_batch"),
    "bulk": Kind("bulk_action", "jobs.view_bulkaction"),
    "callback": Kind("jobs_callback_change", "jobs.view_callback"),
    "client": Kind("clients_client_change", "clients.view_client", Client, "slug"),
    "credential": Kind("vendors_credential_change", "vendors.view_credential", Credential, "slug"),
    "group": Kind("auth_group_change", "auth.view_group", Group, "name"),
    "job": Kind("jobs_job_change", "jobs.view_job"),
    "limit": Kind("vendors_limit_change", "vendors.view_limit", Limit, "slug"),
    "user": Kind("auth_user_change", "auth.view_user", User, "username"),
    "vendor": Kind("vendors_vendor_change", "vendors.view_vendor", Vendor, "slug"),
}


def links(request: HttpRequest, targets: Iterable[str]) -> dict[str, str]:
    """Return the URLs of the targets' pages, of those that exist and that the user may see."""
    by_kind: dict[str, set[str]] = {}
    for target in targets:
        kind, _, name = target.partition(":")
        by_kind.setdefault(kind, set()).add(name)
    found: dict[str, str] = {}
    for kind, names in by_kind.items():
        if kind in KINDS and request.user.has_perm(KINDS[kind].permission):
            keys = _keys(KINDS[kind], names)
            urls = {f"{kind}:{name}": _url(KINDS[kind].page, key) for name, key in keys.items()}
            found |= {target: url for target, url in urls.items() if url}
    return found


def _keys(kind: Kind, names: set[str]) -> dict[str, Any]:
    """Return the primary keys of the targets, by name."""
    if kind.model is None:
        return {name: name for name in names}
    rows: Callable[..., Any] = kind.model._default_manager.filter
    return dict(rows(**{f"{kind.column}__in": names}).values_list(kind.column, "pk"))


def _url(page: str, key: Any) -> str:
    try:
        return reverse(f"admin:{page}", args=[key])
    except NoReverseMatch:
        return ""
