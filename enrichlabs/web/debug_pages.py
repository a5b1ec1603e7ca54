"""What the pages of DEBUG=1 hide: some settings by name, and each secret by its value, wherever the
page would show it.
"""

import os
import re
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

SHORTEST = 6  # a shorter value is no secret, and stands anywhere


class Filter(SafeExceptionReporterFilter):
    hidden_settings = re.compile(
        "API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|HTTP_COOKIE|DATABASE|REDIS_URL|VENDOR_", re.I
    )


class Reporter(ExceptionReporter):
    def get_traceback_html(self) -> SafeString:
        return _without_secrets(super().get_traceback_html())

    def get_traceback_text(self) -> SafeString:
        return _without_secrets(super().get_traceback_text())


def _without_secrets(page: str) -> SafeString:
    # The longest first: one may be part of another.
    for secret in sorted(_secrets(), key=len, reverse=True):
        for shown in (secret, escape(secret), repr(secret)[1:-1], escape(repr(secret)[1:-1])):
            page = page.replace(shown, Filter.cleansed_substitute)
    return mark_safe(page)  # noqa: S308 - as Django's own page, with less in it


def _secrets() -> set[str]:
    found = {settings.SECRET_KEY, *settings.CALLBACK_SECRETS, os.environ.get("ADMIN_PASSWORD", "")}
    for url in (settings.DATABASE_URL, settings.REDIS_URL):
        secret = urlsplit(url).netloc.rpartition("@")[0].rpartition(":")[2]
        found |= {url, secret, unquote(secret)} if secret else set()
    for name, value in os.environ.items():
        if (
            name.startswith(settings.VENDOR_VARIABLE_PREFIXES)
            and name not in settings.SETTINGS_VARIABLES
        ):
            found |= {value, *re.split(r"[,\s]+", value)}
    return {secret for secret in found if len(secret) >= SHORTEST}
