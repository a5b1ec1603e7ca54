"""manage.py check --deploy reports each problem once, with a hint, and never raises."""

import re
from collections.abc import Callable
from io import StringIO

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.management import call_command
from django.test import override_settings

from enrichlabs.checks import secrets
from enrichlabs.standalone import bootstrap
from enrichlabs.standalone.default_secrets import DEFAULT_PASSWORD
from enrichlabs.standalone.startup import StartupError
from enrichlabs.tests.checks.issues import EXPECTED_IN_TESTS, SECRET, found
from harness.running import ROOT
from jobs.queue.heartbeat import Heartbeat
from jobs.recovery import unusable
from users.hashing import PBKDF2PasswordHasher

pytestmark = pytest.mark.usefixtures("well_configured")


@pytest.mark.parametrize("databases", [None, ["default"]])
def test_a_well_configured_installation_has_no_issues(
    db: None, databases: list[str] | None
) -> None:
    assert found(databases=databases) == []


def test_the_command_reports_no_issues(db: None) -> None:
    output = StringIO()
    with override_settings(
        SILENCED_SYSTEM_CHECKS=[*settings.SILENCED_SYSTEM_CHECKS, *EXPECTED_IN_TESTS]
    ):
        call_command("check", deploy=True, stdout=output)
    assert output.getvalue().startswith("System check identified no issues")


@pytest.mark.parametrize(
    ("setting", "value", "issue"),
    [
        ("DEBUG", True, "security.W018"),
        ("ALLOWED_HOSTS", ["*"], "enrichlabs.W036"),
        ("TRUSTED_PROXIES", [], "enrichlabs.W043"),
        ("SECRET_KEY", "insecure-secret-key-for-development-only", "enrichlabs.W031"),
        ("SECRET_KEY", "short", "enrichlabs.W032"),
        ("SECRET_KEY", "a" * 60, "enrichlabs.W032"),
        (
            "CALLBACK_SECRETS",
            [SECRET, "insecure-callback-secret-for-development-only"],
            "enrichlabs.W031",
        ),
        ("CALLBACK_SECRETS", ["short"], "enrichlabs.W032"),
        ("SERVES", ["mock"], "enrichlabs.W034"),
    ],
)
def test_an_unsafe_setting_is_reported_once(
    db: None, setting: str, value: object, issue: str
) -> None:
    with override_settings(**{setting: value}):
        assert found() == [issue]


def test_a_public_url_without_tls_is_reported_once(db: None) -> None:
    plain = {"SESSION_COOKIE_SECURE": False, "CSRF_COOKIE_SECURE": False}
    with override_settings(PUBLIC_URL="http://jobs.example.com", **plain):
        assert found() == ["enrichlabs.W035"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "https://[::1]:8000"])
def test_a_loopback_public_url_is_reported_once(db: None, url: str) -> None:
    with override_settings(PUBLIC_URL=url):
        assert found() == ["enrichlabs.W037"]


def test_every_default_secret_of_the_compose_file_is_recognized() -> None:
    defaults = set(re.findall(r":-(insecure-[^}]+)}", (ROOT / "docker-compose.yml").read_text()))
    assert DEFAULT_PASSWORD in defaults
    with override_settings(SECRET_KEY=SECRET, CALLBACK_SECRETS=sorted(defaults)):
        assert [issue.id for issue in secrets.check_settings()] == ["enrichlabs.W031"] * len(
            defaults
        )


@pytest.fixture
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PBKDF2PasswordHasher, "iterations", 1)


@pytest.mark.usefixtures("quick_hashes")
def test_the_default_admin_password_is_reported_until_it_is_changed(db: None) -> None:
    admin = get_user_model().objects.create_superuser("admin", password=DEFAULT_PASSWORD)
    assert found() == ["enrichlabs.W033"]
    admin.set_password("another")
    admin.save()
    assert found() == []


@pytest.mark.usefixtures("quick_hashes")
def test_a_weak_admin_password_of_an_earlier_version_is_reported(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "hunter2")
    admin = get_user_model().objects.create_superuser("admin", password="hunter2")
    assert found() == ["enrichlabs.W033"]
    admin.set_password("another")
    admin.save()
    assert found() == []


@pytest.mark.sqlite
@pytest.mark.parametrize("password", ["chosen-byme", "password1234", "administrator"])
def test_a_first_start_refuses_a_weak_admin_password(
    db: None, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", password)
    with pytest.raises(StartupError, match="ADMIN_PASSWORD is too weak") as refused:
        bootstrap.create_admin()
    assert password not in str(refused.value)
    assert not get_user_model().objects.exists()


def test_an_enabled_mock_vendor_is_reported(make_vendor: Callable[..., object]) -> None:
    make_vendor(url="http://vendor-mocks:8001/mock-vendors/sync/")
    assert found() == ["enrichlabs.W034"]
    with override_settings(PUBLIC_URL="http://localhost:8000"):
        assert found() == ["enrichlabs.W034", "enrichlabs.W037"]


def warnings() -> list[str]:
    return [
        issue.msg
        for issue in run_checks(include_deployment_checks=True)
        if issue.id in ("enrichlabs.W038", "enrichlabs.W039")
    ]


def test_an_invalid_vendor_row_is_reported(make_vendor: Callable[..., object]) -> None:
    make_vendor(url="https://acme.test/", api_key_env="ACME_API_KEY")
    make_vendor("globex", url="https://*.test/", adapter="own.adapters.Globex")
    make_vendor("initech", url="https://initech.test/", api_key_env="OLD_KEY", enabled=False)
    settings_of_acme, key_of_acme, *of_globex = warnings()
    assert settings_of_acme.startswith(
        "Vendor acme: api_key_env: ACME_API_KEY is not read, because its name does not begin with"
    )
    assert key_of_acme.startswith(
        "Vendor acme can't be called by a worker: ACME_API_KEY is not read"
    )
    assert [message.split(": ")[1] for message in of_globex] == ["adapter", "url"]


def test_missing_variables_of_a_vendor_are_reported(
    make_vendor: Callable[..., object], monkeypatch: pytest.MonkeyPatch, redis_client: object
) -> None:
    names = {
        "api_key_env": "VENDOR_ACME_API_KEY",
        "webhook_secret_env": "VENDOR_ACME_WEBHOOK_SECRET",
    }
    make_vendor(url="https://acme.test/", **names)
    refused = "Vendor acme: its callbacks are refused"
    callbacks = f"{refused}: The variable VENDOR_ACME_WEBHOOK_SECRET is not set."
    not_set = "The variable VENDOR_ACME_API_KEY is not set."
    assert warnings() == [f"Vendor acme can't be called by a worker: {not_set}", callbacks]
    with override_settings(SERVES=["api"]):
        assert warnings() == [f"Vendor acme can't be called by a worker: {not_set}"]
    lacking = Heartbeat("lacking")
    lacking.report = unusable.report({"acme": not_set}, None)
    lacking.send(), Heartbeat("able").send()
    assert warnings() == [f"Vendor acme can't be called by 1 of 2 workers: {not_set}", callbacks]
    monkeypatch.setenv("VENDOR_ACME_WEBHOOK_SECRET", "whsec_c2VjcmV0")
    redis_client.flushall()
    Heartbeat("able").send()
    assert warnings() == []
