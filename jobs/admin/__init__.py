"""The operations console in Django's admin: jobs, batches, callbacks, vendors, credentials,
limits and clients.
"""

from jobs.admin.batches.model_admin import BatchAdmin
from jobs.admin.callbacks.model_admin import CallbackAdmin
from jobs.admin.clients.api_key import ApiKeyAdmin
from jobs.admin.clients.client import ClientAdmin
from jobs.admin.jobs.model_admin import JobAdmin
from jobs.admin.users import ConsoleGroupAdmin, ConsoleUserAdmin
from jobs.admin.vendors.credential import CredentialAdmin
from jobs.admin.vendors.limit import LimitAdmin
from jobs.admin.vendors.vendor import VendorAdmin

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
]
