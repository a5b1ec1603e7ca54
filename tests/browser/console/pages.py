"""Every page of the console, by the name of its URL."""

from typing import NamedTuple

from django.urls import reverse


class Page(NamedTuple):
    """`row` names one of the rows that tests.browser.hostile prints; `query` follows the path."""

    name: str
    row: str = ""
    query: str = ""
    keyword: str = ""  # of the argument, if it has one
    reads_permissions: bool = False  # with a $project that the tests' MongoDB lacks

    @property
    def label(self) -> str:
        return "-".join(filter(None, (self.name, self.row, self.query)))

    def path(self, rows: dict[str, str]) -> str:
        if not self.row:
            return reverse(f"admin:{self.name}") + self.query
        value = rows.get(self.row, self.row)  # or a slug
        where = {self.keyword: value} if self.keyword else None
        args = None if where else [value]
        return reverse(f"admin:{self.name}", args=args, kwargs=where) + self.query


PAGES = [
    Page("index"),
    Page("index", query="?range=week"),
    Page("errors"),
    Page("errors", query="?hours=24"),
    Page("bulk_actions"),
    Page("bulk_action", "bulk"),
    Page("bulk_plan", query="?kind=retry&status=failed&vendor=emails"),
    Page("audit"),
    Page("audit", query="?target=vendor:vat"),
    Page("vendor_limits", "vat"),
    Page("vendor_try", "vat"),
    Page("vendor_pause", "people"),
    Page("jobs_job_changelist"),
    Page("jobs_job_changelist", query="?status=failed&vendor=emails"),
    Page("jobs_job_changelist", query="?status=cancelled"),
    Page("jobs_job_change", "failed"),
    Page("jobs_job_change", "complete"),
    Page("jobs_job_change", "queued"),
    Page("jobs_job_edit", "failed"),
    Page("jobs_batch_changelist"),
    Page("jobs_batch_change", "batch"),
    Page("jobs_callback_changelist"),
    Page("jobs_callback_change", "callback"),
    Page("vendors_vendor_changelist"),
    Page("vendors_vendor_change", "vendor"),
    Page("vendors_vendor_history", "vendor"),
    Page("vendors_vendor_add"),
    Page("vendors_vendor_delete", "vendor"),
    Page("vendors_credential_changelist"),
    Page("vendors_credential_change", "credential"),
    Page("vendors_credential_add"),
    Page("vendors_limit_changelist"),
    Page("vendors_limit_change", "limit"),
    Page("vendors_limit_add"),
    Page("clients_client_changelist"),
    Page("clients_client_change", "client"),
    Page("clients_client_add"),
    Page("clients_apikey_changelist"),
    Page("clients_apikey_change", "api_key"),
    Page("clients_apikey_add"),
    Page("auth_user_changelist"),
    Page("auth_user_change", "user", reads_permissions=True),
    Page("auth_user_add"),
    Page("auth_group_changelist"),
    Page("auth_group_change", "group", reads_permissions=True),
    Page("password_change"),
]

# What changes something, and is reached by a button.
ACTS = {
    *("vendor_resume", "vendor_close_breaker", "worker_drain", "worker_resume", "worker_stop"),
    *("bulk_act", "audit_csv", "jobs_job_show", "jobs_callback_show", "jobs_callback_apply"),
    *("logout", "jobs_job_retry", "jobs_job_cancel", "jobs_job_retry_selected"),
    *("jobs_job_cancel_selected", "vendors_vendor_pause", "vendors_vendor_resume"),
    *("vendors_vendor_pause_selected", "clients_apikey_rotate", "clients_apikey_revoke"),
    *("vendors_credential_pause_key", "vendors_credential_resume_key"),
}
# Pages with the same template as one above, those that nobody sees, and what is no page.
LEFT_OUT = {
    *("login", "app_list", "view_on_site", "autocomplete", "jsi18n", "password_change_done"),
    *("jobs_job_history", "jobs_job_delete", "jobs_job_add", "jobs_batch_add", "jobs_batch_delete"),
    *("jobs_callback_add", "jobs_callback_delete", "jobs_batch_history", "jobs_callback_history"),
    *("clients_apikey_delete", "clients_client_delete", "clients_client_history"),
    *("clients_apikey_history", "vendors_credential_delete", "vendors_credential_history"),
    *("vendors_limit_delete", "vendors_limit_history", "auth_user_delete", "auth_user_history"),
    *("auth_group_add", "auth_group_delete", "auth_group_history", "auth_user_password_change"),
}
