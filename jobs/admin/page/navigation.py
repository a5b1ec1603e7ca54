"""The pages that the console's navigation lists, for those who may see them."""

from dataclasses import dataclass
from typing import Any

from django.urls import reverse


@dataclass(frozen=True)
class Page:
    name: str
    url_name: str
    permissions: tuple[str, ...] = ()  # any of them is enough; none: every user
    key: str = ""  # the key that opens it
    starts_group: bool = False


@dataclass(frozen=True)
class Item:
    """A page, as one user sees it on another page."""

    name: str
    url: str
    key: str
    starts_group: bool
    is_current: bool


PAGES = (
    Page("Overview", "index", key="o"),
    Page("Jobs", "jobs_job_changelist", ("jobs.view_job",), "j", starts_group=True),
    Page("Errors", "errors", ("jobs.view_job",), "e"),
    Page("Batches", "jobs_batch_changelist", ("jobs.view_batch",)),
    Page("Callbacks", "jobs_callback_changelist", ("jobs.view_callback",)),
    Page("Bulk actions", "bulk_actions", ("jobs.view_bulkaction",)),
    Page(
        "Vendors",
        "vendors_vendor_changelist",
        ("vendors.view_vendor", "vendors.change_vendor"),
        "v",
        starts_group=True,
    ),
    Page(
        "Credentials",
        "vendors_credential_changelist",
        ("vendors.view_credential", "vendors.change_credential"),
    ),
    Page("Limits", "vendors_limit_changelist", ("vendors.view_limit", "vendors.change_limit")),
    Page(
        "Clients",
        "clients_client_changelist",
        ("clients.view_client", "clients.change_client"),
        starts_group=True,
    ),
    Page("API keys", "clients_apikey_changelist", ("clients.view_apikey", "clients.manage_apikey")),
    Page("Audit trail", "audit", ("audit.view_entry",), starts_group=True),
    Page("Users", "auth_user_changelist", ("auth.view_user", "auth.change_user")),
    Page("Groups", "auth_group_changelist", ("auth.view_group", "auth.change_group")),
)


def items(user: Any, path: str) -> list[Item]:
    """Return what the user may open, with the page at `path` marked."""
    found: list[Item] = []
    starts_group = False
    for page in PAGES:
        starts_group = starts_group or page.starts_group
        if not _may_see(user, page):
            continue
        url = reverse(f"admin:{page.url_name}")
        is_current = path == url if page.url_name == "index" else path.startswith(url)
        found.append(Item(page.name, url, page.key, starts_group, is_current))
        starts_group = False
    return found


def _may_see(user: Any, page: Page) -> bool:
    return not page.permissions or any(user.has_perm(name) for name in page.permissions)
