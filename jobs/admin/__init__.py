"""The operations console in Django's admin: jobs, batches, callbacks, vendors, credentials,
limits, clients and bulk actions.
"""

from jobs.admin import bulk
from jobs.admin.accounts.users import ConsoleGroupAdmin, ConsoleUserAdmin
from jobs.admin.audit import pages as audit_pages
from jobs.admin.batches.model_admin import BatchAdmin
from jobs.admin.callbacks.model_admin import CallbackAdmin
from jobs.admin.clients.api_key import ApiKeyAdmin
from jobs.admin.clients.client import ClientAdmin
from jobs.admin.errors.page import errors_view
from jobs.admin.jobs.model_admin import JobAdmin
from jobs.admin.overview import overview
from jobs.admin.vendors.credential import CredentialAdmin
from jobs.admin.vendors.limit import LimitAdmin
from jobs.admin.vendors.page.breaker import close_view
from jobs.admin.vendors.page.limits import limits_view
from jobs.admin.vendors.page.trying import try_view
from jobs.admin.vendors.vendor import VendorAdmin
from jobs.admin.workers import worker_drain, worker_resume, worker_stop

__all__ = [
    "ApiKeyAdmin",
    "BatchAdmin",
    "CallbackAdmin",
    "ClientAdmin",
    "ConsoleGroupAdmin",
    "ConsoleUserAdmin",
    "CredentialAdmin",
    "JobAdmin",
    "LimitAdmin",
    "VendorAdmin",
    "audit_pages",
    "bulk",
    "close_view",
    "errors_view",
    "limits_view",
    "overview",
    "try_view",
    "worker_drain",
    "worker_resume",
    "worker_stop",
]
