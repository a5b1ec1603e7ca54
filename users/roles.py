"""The roles that people in the console start with: viewer, operator and administrator.

Each is a group of Django's. They are made once, and are the operator's to change afterwards.
"""

VIEWER = (
    "audit.view_entry",
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


def role_with(permission: str) -> str:
    """Return the least role that has this permission, such as jobs.retry_job, as it was made;
    empty if only superusers have it.
    """
    return next((name for name, granted in ROLES.items() if permission in granted), "")
