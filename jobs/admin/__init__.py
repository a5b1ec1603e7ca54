"""The operations console: our own pages, and those of Django's admin, registered by import."""

from jobs.admin import bulk, overview, workers
from jobs.admin.accounts import users
from jobs.admin.audit import pages
from jobs.admin.batches import model_admin as batches
from jobs.admin.callbacks import model_admin as callbacks
from jobs.admin.clients import api_key, client
from jobs.admin.errors import page
from jobs.admin.jobs import model_admin as jobs
from jobs.admin.vendors import credential, limit, vendor
from jobs.admin.vendors.page import breaker, limits, trying

__all__ = [
    "api_key",
    "batches",
    "breaker",
    "bulk",
    "callbacks",
    "client",
    "credential",
    "jobs",
    "limit",
    "limits",
    "overview",
    "page",
    "pages",
    "trying",
    "users",
    "vendor",
    "workers",
]
