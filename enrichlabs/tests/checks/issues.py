"""The issues that the system checks report, and settings with which there are none."""

from ipaddress import ip_network

from django.core.checks import run_checks
from django.db import connection

SECRET = "wq7Vb2mT0yLcX4sJ9dHnK6fRgZ1pA8eU3iOoQxWvYtBjMhNk"
WELL_CONFIGURED = {
    "PUBLIC_URL": "https://jobs.example.com",
    "ALLOWED_HOSTS": ["jobs.example.com"],
    "TRUSTED_PROXIES": [ip_network("192.0.2.1")],
    "SECRET_KEY": SECRET,
    "CALLBACK_SECRETS": [SECRET],
    "ALLOW_ANONYMOUS": False,
    "SERVES": ["api", "admin", "webhooks"],
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
}
# The MongoDB of the tests is a single server without journaled writes.
EXPECTED_IN_TESTS = ["enrichlabs.W014", "enrichlabs.W015"] if connection.vendor == "mongodb" else []


def found(deploy: bool = True, databases: list[str] | None = None) -> list[str]:
    """Return the ids of all issues, except those of the MongoDB of the tests."""
    issues = run_checks(include_deployment_checks=deploy, databases=databases)
    assert all(issue.hint for issue in issues if str(issue.id).startswith("enrichlabs."))
    return sorted(
        str(issue.id)
        for issue in issues
        if not issue.is_silenced() and issue.id not in EXPECTED_IN_TESTS
    )
