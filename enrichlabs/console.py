"""Django's admin as the console."""

from django.contrib.admin.apps import AdminConfig


class ConsoleConfig(AdminConfig):
    default_site = "jobs.console.ConsoleSite"
