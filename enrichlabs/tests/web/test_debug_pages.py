"""The error pages of DEBUG=1 show no secret, whatever its name and wherever it appears."""

import subprocess
import sys
from pathlib import Path

from clients.keys import new_key
from harness.running import ROOT, environment

PAGE = """
import os, sys
import django
django.setup()
from django.conf import settings
from django.test import RequestFactory
from django.views.debug import get_exception_reporter_class, technical_500_response
assert settings.DEBUG
def fail(request):
    url, other = settings.DATABASE_URL, dict(os.environ)
    key, odd = os.environ["VENDOR_ACME_KEY"], os.environ["VENDOR_ODD"]
    header = request.META["HTTP_AUTHORIZATION"]
    text, found = header.removeprefix("Bearer "), [header]
    raise RuntimeError("It fails with " + key)
for headers in ({}, {"Accept": "text/plain"}):
    headers |= {"Authorization": f"Bearer {sys.argv[1]}", "X-Api-Key": sys.argv[1]}
    request = RequestFactory(headers=headers).get(f"/jobs?key={sys.argv[1]}")
    try:
        fail(request)
    except RuntimeError:
        sys.stdout.write(technical_500_response(request, *sys.exc_info()).content.decode())
"""
SECRETS = {
    "SECRET_KEY": "marked-secret-key-of-the-console",
    "CALLBACK_SECRETS": "marked-callback-secret-one,marked-callback-secret-two",
    "DATABASE_URL": "mongodb://user:marked%2Fpassword@127.0.0.1:1/jobs",
    "REDIS_URL": "redis://:marked-redis@127.0.0.1:1/0",
    "ADMIN_PASSWORD": "marked-admin",
    "VENDOR_ACME_KEY": "marked-vendor-key",
    "VENDOR_ODD": "marked 'quoted' <key>",
}

API_KEY = new_key()


def test_an_error_page_shows_no_secret(tmp_path: Path) -> None:
    variables = {"DJANGO_SETTINGS_MODULE": "enrichlabs.settings", "DEBUG": "1", **SECRETS}
    given = environment(tmp_path, **variables)
    command = [sys.executable, "-c", PAGE, API_KEY]
    ended = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=True)
    page = ended.stdout
    assert page.count("It fails with ****") >= 2
    assert "ALLOWED_HOSTS" in page
    assert "marked" not in page
    assert API_KEY[12:44] not in page
