"""The roles that people in the console start with: viewer, operator and administrator.

Each is a group of Django's. They are made once, and are the operator's to change afterwards.
"""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType

VIEWER = (
    "clients.view_client",
    "jobs.view_batch",
    "jobs.view_bulkaction",
    "jobs.view_callback",
    "jobs.view_job",
    "vendors.view_credential",
    "vendors.view_limit",
    "vendors.view_vendor",
)
OPERATOR = (
    "audit.view_entry",
    "jobs.apply_callback",
    "jobs.cancel_job",
    "jobs.edit_job",
    "jobs.manage_workers",
    "jobs.retry_job",
    "jobs.run_bulkaction",
    "jobs.view_personal_data",
    "vendors.change_vendor_limits",
    "vendors.close_breaker",
    "vendors.pause_vendor",
    "vendors.try_vendor",
)
ADMINISTRATOR = (
    "auth.view_group",
    "auth.view_user",
    "clients.add_client",
    "clients.change_client",
    "clients.delete_client",
    "clients.manage_apikey",
    "clients.view_apikey",
    "vendors.add_credential",
    "vendors.add_limit",
    "vendors.add_vendor",
    "vendors.change_credential",
    "vendors.change_credential_target",
    "vendors.change_limit",
    "vendors.change_vendor",
    "vendors.change_vendor_target",
    "vendors.delete_credential",
    "vendors.delete_limit",
    "vendors.delete_vendor",
)
# From the least to the most; each may do what those before it may.
ROLES: dict[str, tuple[str, ...]] = {
    "viewer": VIEWER,
    "operator": VIEWER + OPERATOR,
    "administrator": VIEWER + OPERATOR + ADMINISTRATOR,
}


def roles_with(permission: str) -> list[str]:
    """Return the roles that have this permission, such as jobs.retry_job, as they were made."""
    return [name for name, granted in ROLES.items() if permission in granted]


def create_missing(**kwargs: Any) -> None:
    """Make the groups of roles that do not exist, after permissions were (signal post_migrate)."""
    missing = [name for name in ROLES if not Group.objects.filter(name=name).exists()]
    if not missing:
        return
    permissions = _permissions()
    for name in missing:
        group = Group(name=name)
        group.save(force_insert=True)
        grant = Group.permissions.through
        grant._default_manager.bulk_create(
            grant(group_id=group.pk, permission_id=permissions[each])
            for each in ROLES[name]
            if each in permissions
        )


def _permissions() -> dict[str, Any]:
    """Return the primary keys of all permissions by name, such as jobs.retry_job."""
    # Without a join, for MongoDB.
    apps = dict(ContentType.objects.values_list("pk", "app_label"))
    found = Permission.objects.values_list("pk", "content_type_id", "codename")
    return {f"{apps[table]}.{name}": pk for pk, table, name in found if table in apps}
