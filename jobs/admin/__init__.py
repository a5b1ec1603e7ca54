"""The operations console: jobs, callbacks and vendors in Django's admin."""

from django.conf import settings
from django.contrib import admin

from jobs.admin.callback import CallbackAdmin
from jobs.admin.job import JobAdmin
from jobs.admin.users import OurGroupAdmin, OurUserAdmin
from jobs.admin.vendor import VendorAdmin

__all__ = ["CallbackAdmin", "JobAdmin", "OurGroupAdmin", "OurUserAdmin", "VendorAdmin"]

admin.site.site_header = admin.site.site_title = "EnrichLabs"
admin.site.index_title = "Console"
# Under a name of its own, because Django's app comes first in INSTALLED_APPS and so does its
# admin/index.html.
admin.site.index_template = "admin/jobs/index.html"
# Its link leads to the page of the API, which another process may serve.
admin.site.site_url = "/" if "api" in settings.SERVES else None
