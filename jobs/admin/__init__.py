"""The operations console: our own pages, and those of Django's admin, registered by import."""

from jobs.admin import bulk, overview, workers
from jobs.admin.accounts import users
from jobs.admin.audit import pages as audit_pages
from jobs.admin.batches import model_admin as batch_pages
from jobs.admin.callbacks import model_admin as callback_pages
from jobs.admin.clients import api_key, client
from jobs.admin.errors import page as error_page
from jobs.admin.jobs import model_admin as job_pages
from jobs.admin.vendors import credential, limit, vendor
from jobs.admin.vendors.page import breaker, limits, trying

__all__ = [
    "api_key",
    "batch_pages",
    "breaker",
    "bulk",
    "callback_pages",
    "client",
    "credential",
    "job_pages",
    "limit",
    "limits",
    "overview",
    "error_page",
    "audit_pages",
    "trying",
    "users",
    "vendor",
    "workers",
]
