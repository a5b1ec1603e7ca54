"""The operations console in Django's admin: jobs, batches, callbacks, vendors, credentials,
limits and clients.
"""

from django.conf import settings
from django.contrib import admin

from jobs.admin.batch import BatchAdmin
from jobs.admin.callback import CallbackAdmin
from jobs.admin.clients.api_key import ApiKeyAdmin
from jobs.admin.clients.client import ClientAdmin
from jobs.admin.job import JobAdmin
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

admin.site.site_header = admin.site.site_title = "EnrichLabs"
admin.site.index_title = "Console"
# Not admin/index.html: Django's app comes first in INSTALLED_APPS, and so does its template.
admin.site.index_template = "admin/jobs/index.html"
# The front page lists everything that the sidebar would; without it, tables fit on a laptop.
admin.site.enable_nav_sidebar = False
# "View site" leads to the API's page, which another process may serve.
admin.site.site_url = "/" if "api" in settings.SERVES else None
