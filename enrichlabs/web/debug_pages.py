"""Hides secrets on the error pages of DEBUG=1: settings by name, and secrets by value wherever they
appear.
"""

import os
import re
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from clients.keys import masked

MIN_LENGTH = 6  # a shorter value is not a secret, and may appear anywhere


class Filter(SafeExceptionReporterFilter):
    """Hides settings and request headers by name."""

    hidden_settings = re.compile(
        "API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|HTTP_COOKIE|DATABASE|REDIS_URL|VENDOR_", re.I
    )


class Reporter(ExceptionReporter):
    """Hides secrets by value, which Django's filter does not."""

    def get_traceback_html(self) -> SafeString:
        return _without_secrets(super().get_traceback_html())

    def get_traceback_text(self) -> SafeString:
        return _without_secrets(super().get_traceback_text())


def _without_secrets(page: str) -> SafeString:
    # Longest first: one may be part of another.
    for secret in sorted(_secrets(), key=len, reverse=True):
        for shown in (secret, escape(secret), repr(secret)[1:-1], escape(repr(secret)[1:-1])):
            page = page.replace(shown, Filter.cleansed_substitute)
    return mark_safe(masked(page))  # noqa: S308 - Django's own page, with less in it


def _secrets() -> set[str]:
    found = {settings.SECRET_KEY, *settings.CALLBACK_SECRETS, os.environ.get("ADMIN_PASSWORD", "")}
    for url in (settings.DATABASE_URL, settings.REDIS_URL):
        password = urlsplit(url).netloc.rpartition("@")[0].rpartition(":")[2]
        found |= {url, password, unquote(password)} if password else set()
    for name, value in os.environ.items():
        is_vendors = name.startswith(settings.VENDOR_VARIABLE_PREFIXES)
        if is_vendors and name not in settings.SETTINGS_VARIABLES:
            found |= {value, *re.split(r"[,\s]+", value)}
    return {secret for secret in found if len(secret) >= MIN_LENGTH}
