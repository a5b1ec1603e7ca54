"""manage.py check --deploy reports each problem once, with a hint, and never raises."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
import redis
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder
from django.db.utils import ConnectionHandler
from django.test import override_settings

from enrichlabs.checks import redis as redis_checks
from enrichlabs.checks import secrets
from enrichlabs.config.stores import database
from enrichlabs.standalone import preflight
from enrichlabs.standalone.default_secrets import DEFAULT_PASSWORD
from harness.running import ROOT
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.redis_errors import OOM
from jobs.recovery import unusable

SECRET = "wq7Vb2mT0yLcX4sJ9dHnK6fRgZ1pA8eU3iOoQxWvYtBjMhNk"
WELL_CONFIGURED = {
    "PUBLIC_URL": "https://jobs.example.com",
    "ALLOWED_HOSTS": ["jobs.example.com"],
    "SECRET_KEY": SECRET,
    "CALLBACK_SECRETS": [SECRET],
    "SERVES": ["api", "admin", "webhooks"],
    "SESSION_COOKIE_SECURE": True,
    "CSRF_COOKIE_SECURE": True,
}
# The MongoDB of the tests is a single server without journaled writes.
EXPECTED_IN_TESTS = ["enrichlabs.W014", "enrichlabs.W015"] if connection.vendor == "mongodb" else []


@pytest.fixture(autouse=True)
def well_configured(redis_client: redis.Redis) -> Iterator[None]:
    redis_client.config_set("appendonly", "yes")
    with override_settings(**WELL_CONFIGURED):
        yield
    redis_client.config_set("appendonly", "no")
    redis_client.config_set("maxmemory-policy", "noeviction")


def found(deploy: bool = True, databases: list[str] | None = None) -> list[str]:
    """Return the ids of all issues, except those of the MongoDB of the tests."""
    issues = run_checks(include_deployment_checks=deploy, databases=databases)
    assert all(issue.hint for issue in issues if str(issue.id).startswith("enrichlabs."))
    return sorted(
        str(issue.id)
        for issue in issues
        if not issue.is_silenced() and issue.id not in EXPECTED_IN_TESTS
    )


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


def test_the_default_admin_password_is_reported_until_it_is_changed(db: None) -> None:
    admin = get_user_model().objects.create_superuser("admin", password=DEFAULT_PASSWORD)
    assert found() == ["enrichlabs.W033"]
    admin.set_password("another")
    admin.save()
    assert found() == []


def test_an_enabled_mock_vendor_is_reported(make_vendor: Callable[..., object]) -> None:
    make_vendor(url="http://vendor-mocks:8001/mock-vendors/sync/")
    assert found() == ["enrichlabs.W034"]
    with override_settings(PUBLIC_URL="http://localhost:8000"):
        assert found() == ["enrichlabs.W034", "enrichlabs.W037"]


# Vendors


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


# The store


def drop_index(table: str, name: str) -> None:
    if connection.vendor == "mongodb":
        connection.get_collection(table).drop_index(name)
    else:
        connection.cursor().execute(f"DROP INDEX {name}")


def follow(hint: str) -> None:
    """Run the statement of the hint in the store."""
    if connection.vendor == "mongodb":
        table, columns, options = re.match(
            r"Create it: db\.(\w+)\.createIndex\(({.*?}), ({.*})\)$", hint
        ).groups()
        connection.get_collection(table).create_index(
            list(json.loads(columns).items()), **json.loads(options)
        )
    else:
        connection.cursor().execute(hint.removeprefix("Create it: "))


def index_warnings() -> list[tuple[str, str]]:
    issues = run_checks(databases=["default"])
    return [(issue.msg, issue.hint) for issue in issues if issue.id == "enrichlabs.W003"]


@pytest.mark.parametrize(
    ("table", "name", "columns"),
    [("jobs_job", "job_due", "status, not_before"), ("vendors_vendor", "vendor_slug", "slug")],
)
def test_a_dropped_index_is_reported_with_a_statement_that_creates_it(
    transactional_db: None, table: str, name: str, columns: str
) -> None:
    drop_index(table, name)
    if (table, connection.vendor) == ("vendors_vendor", "sqlite"):
        # Queries use the unique index instead.
        assert index_warnings() == []
        connection.cursor().execute("CREATE INDEX vendor_slug ON vendors_vendor (slug)")
        return
    [(message, hint)] = index_warnings()
    assert message == f"The table {table} has no index on {columns}."
    assert found() == ["enrichlabs.W003"]
    assert found(databases=["default"]) == ["enrichlabs.W003"]
    follow(hint)
    assert index_warnings() == []


def test_an_index_with_the_right_name_on_other_columns_is_reported(transactional_db: None) -> None:
    drop_index("jobs_job", "job_due")
    if connection.vendor == "mongodb":
        connection.get_collection("jobs_job").create_index(
            [("status", 1), ("not_before", -1)], name="job_due"
        )
    else:
        connection.cursor().execute(
            'CREATE INDEX job_due ON "jobs_job" ("status", "not_before" DESC)'
        )
    [(message, hint)] = index_warnings()
    assert "no index on status, not_before" in message
    drop_index("jobs_job", "job_due")
    follow(hint)


@pytest.mark.skipif(
    connection.vendor != "mongodb", reason="on SQLite unique columns are part of the table"
)
@pytest.mark.parametrize(
    ("table", "column", "is_unique"),
    [("auth_user", "username", False), ("jobs_callback", "key", True)],
)
def test_an_index_that_only_mongodb_has_is_reported_when_dropped(
    transactional_db: None, table: str, column: str, is_unique: bool
) -> None:
    indexes = connection.get_collection(table).index_information()
    [name] = [
        name
        for name, each in indexes.items()
        if each["key"] == [(column, 1)] and each.get("unique", False) == is_unique
    ]
    drop_index(table, name)
    [(message, hint)] = index_warnings()
    assert message == f"The table {table} has no {'unique ' if is_unique else ''}index on {column}."
    follow(hint)
    assert index_warnings() == []


def test_an_unapplied_migration_is_reported_except_by_migrate(db: None) -> None:
    recorder = MigrationRecorder(connection)
    last = MigrationExecutor(connection).loader.graph.leaf_nodes("jobs")[0]
    recorder.record_unapplied(*last)
    try:
        assert found() == ["enrichlabs.W002"]
        assert found(deploy=False, databases=["default"]) == []
    finally:
        recorder.record_applied(*last)


@pytest.fixture
def no_store(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    nowhere = database("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100", ROOT)
    connection = ConnectionHandler({"default": {}, "away": nowhere})["away"]
    monkeypatch.setattr(preflight, "connection", connection)
    yield
    connection.close_pool()  # the backend would keep it under the alias


@pytest.mark.usefixtures("no_store")
@pytest.mark.parametrize("databases", [None, ["default"]])
def test_a_store_that_does_not_answer_is_reported_once(databases: list[str] | None) -> None:
    assert found(databases=databases) == ["enrichlabs.E001"]


@pytest.mark.usefixtures("no_store")
def test_migrate_fails_without_a_store() -> None:
    with pytest.raises(SystemCheckError, match=r"\(127.0.0.1:1\)"):
        call_command("migrate", skip_checks=False)


@pytest.mark.usefixtures("no_store")
def test_a_plain_check_contacts_no_server(redis_at: Callable[[str], None]) -> None:
    redis_at("redis://127.0.0.1:1")
    assert found(deploy=False) == []


# Redis


def test_eviction_and_missing_persistence_are_reported(db: None, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    assert found() == ["enrichlabs.W024"]
    redis_client.config_set("appendonly", "no")
    assert found() == ["enrichlabs.W024", "enrichlabs.W025"]


def test_a_redis_that_forbids_config_is_checked_too(
    db: None, redis_client: redis.Redis, redis_at: Callable[[str], None]
) -> None:
    redis_client.acl_setuser(
        "managed", enabled=True, passwords=["+pass"], keys=["*"], commands=["+@all", "-config"]
    )
    redis_client.config_set("appendonly", "no")
    redis_at(f"unix://managed:pass@{redis_client.connection_pool.connection_kwargs['path']}")
    assert found() == ["enrichlabs.W025"]
    redis_client.acl_deluser("managed")


def test_a_redis_that_refuses_writes_is_reported(db: None, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory", 1)
    try:
        [issue] = [issue for issue in redis_checks.check_server() if issue.id == "enrichlabs.W027"]
    finally:
        redis_client.config_set("maxmemory", 0)
    assert f"{issue.msg} {issue.hint}" == OOM


def test_a_redis_that_hangs_is_reported_within_seconds(redis_at: Callable[[str], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        redis_at(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        [issue] = redis_checks.check_server()
    assert issue.id == "enrichlabs.W021"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1", "redis://none.invalid", "no://address", "redis://:hid/den@host"]
)
def test_a_redis_that_does_not_answer_is_reported(
    redis_at: Callable[[str], None], url: str
) -> None:
    redis_at(url)
    [issue] = redis_checks.check_server()
    assert issue.id == "enrichlabs.W021"
    assert "hid" not in f"{issue.msg} {issue.hint}"


@pytest.mark.parametrize("seconds", [-10, 10])
def test_a_clock_difference_is_reported(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time
    monkeypatch.setattr(redis_checks.time, "time", lambda: now() + seconds)
    [issue] = redis_checks.check_server()
    assert issue.id == "enrichlabs.W026"
    assert f"10.0 s {'ahead of' if seconds < 0 else 'behind'} this machine's" in issue.msg


@pytest.mark.parametrize(
    ("server", "issue"),
    [
        ({"redis_version": "6.2.14"}, "enrichlabs.E022"),
        ({"redis_version": "7.4.1", "redis_mode": "cluster"}, "enrichlabs.E023"),
    ],
)
def test_an_unsuitable_redis_is_an_error(
    monkeypatch: pytest.MonkeyPatch, server: dict[str, str], issue: str
) -> None:
    class FakeRedis:
        def info(self, *sections: str) -> dict[str, object]:
            return {"aof_enabled": 1, **server}

        def time(self) -> tuple[int, int]:
            return int(time.time()), 0

    monkeypatch.setattr(redis_checks, "connect", lambda seconds: FakeRedis())
    assert [each.id for each in redis_checks.check_server()] == [issue]
