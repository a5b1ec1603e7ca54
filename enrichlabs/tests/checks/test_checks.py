"""manage.py check --deploy: what is missing for production is said, each once and with what to do,
and no check ever raises.
"""

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

from enrichlabs.checks import redis as of_redis
from enrichlabs.checks import secrets, store
from enrichlabs.config.stores import database
from enrichlabs.prepare import PASSWORD_FOR_DEVELOPMENT
from harness.running import ROOT
from jobs.queue.heartbeat import Heartbeat
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
# The MongoDB of the tests is a single server, and is not told to write to its disk first.
OF_THE_TESTS = ["enrichlabs.W014", "enrichlabs.W015"] if connection.vendor == "mongodb" else []


@pytest.fixture(autouse=True)
def well_configured(redis_client: redis.Redis) -> Iterator[None]:
    redis_client.config_set("appendonly", "yes")
    with override_settings(**WELL_CONFIGURED):
        yield
    redis_client.config_set("appendonly", "no")
    redis_client.config_set("maxmemory-policy", "noeviction")


def found(deploy: bool = True, databases: list[str] | None = None) -> list[str]:
    """Return the ids of all that is said, but for what is said of the tests' own MongoDB."""
    issues = run_checks(include_deployment_checks=deploy, databases=databases)
    assert all(issue.hint for issue in issues if str(issue.id).startswith("enrichlabs."))
    return sorted(
        str(issue.id)
        for issue in issues
        if not issue.is_silenced() and issue.id not in OF_THE_TESTS
    )


@pytest.mark.parametrize("databases", [None, ["default"]])
def test_a_well_configured_installation_has_no_issues(
    db: None, databases: list[str] | None
) -> None:
    assert found(databases=databases) == []


def test_the_command_says_so(db: None) -> None:
    said = StringIO()
    with override_settings(
        SILENCED_SYSTEM_CHECKS=[*settings.SILENCED_SYSTEM_CHECKS, *OF_THE_TESTS]
    ):
        call_command("check", deploy=True, stdout=said)
    assert said.getvalue().startswith("System check identified no issues")


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
def test_a_setting_that_is_unsafe_is_named_once(
    db: None, setting: str, value: object, issue: str
) -> None:
    with override_settings(**{setting: value}):
        assert found() == [issue]


def test_an_address_without_tls_is_named_once(db: None) -> None:
    plain = {"SESSION_COOKIE_SECURE": False, "CSRF_COOKIE_SECURE": False}
    with override_settings(PUBLIC_URL="http://jobs.example.com", **plain):
        assert found() == ["enrichlabs.W035"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "https://[::1]:8000"])
def test_an_address_that_no_vendor_can_reach_is_named_once(db: None, url: str) -> None:
    with override_settings(PUBLIC_URL=url):
        assert found() == ["enrichlabs.W037"]


def test_every_default_of_the_compose_file_is_known() -> None:
    defaults = set(re.findall(r":-(insecure-[^}]+)}", (ROOT / "docker-compose.yml").read_text()))
    assert PASSWORD_FOR_DEVELOPMENT in defaults
    with override_settings(SECRET_KEY=SECRET, CALLBACK_SECRETS=sorted(defaults)):
        assert [issue.id for issue in secrets.of_settings()] == ["enrichlabs.W031"] * len(defaults)


def test_the_default_password_of_the_admin(db: None) -> None:
    admin = get_user_model().objects.create_superuser("admin", password=PASSWORD_FOR_DEVELOPMENT)
    assert found() == ["enrichlabs.W033"]
    admin.set_password("another")
    admin.save()
    assert found() == []


def test_a_pretended_vendor_for_the_public(make_vendor: Callable[..., object]) -> None:
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


def test_a_vendor_of_an_earlier_release_is_named(make_vendor: Callable[..., object]) -> None:
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
    assert [told.split(": ")[1] for told in of_globex] == ["adapter", "url"]


def test_variables_that_are_not_set_are_named(
    make_vendor: Callable[..., object], monkeypatch: pytest.MonkeyPatch, redis_client: object
) -> None:
    names = {
        "api_key_env": "VENDOR_ACME_API_KEY",
        "webhook_secret_env": "VENDOR_ACME_WEBHOOK_SECRET",
    }
    make_vendor(url="https://acme.test/", **names)
    callbacks = "Vendor acme: its callbacks are refused: The variable VENDOR_ACME_WEBHOOK_SECRET is not set."
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
    """Do what the hint says, as an operator would in the store's shell."""
    if connection.vendor == "mongodb":
        table, columns, options = re.match(
            r"Make it: db\.(\w+)\.createIndex\(({.*?}), ({.*})\)$", hint
        ).groups()
        connection.get_collection(table).create_index(
            list(json.loads(columns).items()), **json.loads(options)
        )
    else:
        connection.cursor().execute(hint.removeprefix("Make it: "))


def said_of_indexes() -> list[tuple[str, str]]:
    issues = run_checks(databases=["default"])
    return [(issue.msg, issue.hint) for issue in issues if issue.id == "enrichlabs.W003"]


@pytest.mark.parametrize(
    ("table", "name", "columns"),
    [("jobs_job", "job_due", "status, not_before"), ("vendors_vendor", "vendor_slug", "slug")],
)
def test_an_index_that_was_dropped(
    transactional_db: None, table: str, name: str, columns: str
) -> None:
    drop_index(table, name)
    if (table, connection.vendor) == ("vendors_vendor", "sqlite"):
        # Its unique index can be used there as well as any.
        assert said_of_indexes() == []
        connection.cursor().execute("CREATE INDEX vendor_slug ON vendors_vendor (slug)")
        return
    [(message, hint)] = said_of_indexes()
    assert message == f"The table {table} has no index on {columns}."
    assert found() == ["enrichlabs.W003"]
    assert found(databases=["default"]) == ["enrichlabs.W003"]
    follow(hint)
    assert said_of_indexes() == []


def test_an_index_of_the_same_name_on_other_columns(transactional_db: None) -> None:
    drop_index("jobs_job", "job_due")
    if connection.vendor == "mongodb":
        connection.get_collection("jobs_job").create_index(
            [("status", 1), ("not_before", -1)], name="job_due"
        )
    else:
        connection.cursor().execute(
            'CREATE INDEX job_due ON "jobs_job" ("status", "not_before" DESC)'
        )
    [(message, hint)] = said_of_indexes()
    assert "no index on status, not_before" in message
    drop_index("jobs_job", "job_due")
    follow(hint)


@pytest.mark.skipif(
    connection.vendor != "mongodb", reason="SQLite keeps unique columns in the table itself"
)
@pytest.mark.parametrize(
    ("table", "column", "is_unique"),
    [("auth_user", "username", False), ("jobs_callback", "key", True)],
)
def test_an_index_on_mongodb_alone(
    transactional_db: None, table: str, column: str, is_unique: bool
) -> None:
    indexes = connection.get_collection(table).index_information()
    [name] = [
        name
        for name, each in indexes.items()
        if each["key"] == [(column, 1)] and each.get("unique", False) == is_unique
    ]
    drop_index(table, name)
    [(message, hint)] = said_of_indexes()
    assert message == f"The table {table} has no {'unique ' if is_unique else ''}index on {column}."
    follow(hint)
    assert said_of_indexes() == []


def test_a_migration_that_was_not_applied(db: None) -> None:
    recorder = MigrationRecorder(connection)
    last = MigrationExecutor(connection).loader.graph.leaf_nodes("jobs")[0]
    recorder.record_unapplied(*last)
    try:
        assert found() == ["enrichlabs.W002"]
        # Who migrates need not be told.
        assert found(deploy=False, databases=["default"]) == []
    finally:
        recorder.record_applied(*last)


@pytest.fixture
def no_store(db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    nowhere = database("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100", ROOT)
    connection = ConnectionHandler({"default": {}, "away": nowhere})["away"]
    monkeypatch.setattr(store, "connection", connection)
    yield
    connection.close_pool()  # which the backend keeps by the name of the connection


@pytest.mark.usefixtures("no_store")
@pytest.mark.parametrize("databases", [None, ["default"]])
def test_a_store_that_is_away_is_named_once(databases: list[str] | None) -> None:
    assert found(databases=databases) == ["enrichlabs.E001"]


@pytest.mark.usefixtures("no_store")
def test_migrate_stops_without_a_store() -> None:
    with pytest.raises(
        SystemCheckError, match=r"Nobody listens where DATABASE_URL leads to \(127.0.0.1:1\)"
    ):
        call_command("migrate", skip_checks=False)


@pytest.mark.usefixtures("no_store")
def test_a_plain_check_asks_no_server(redis_at: Callable[[str], None]) -> None:
    redis_at("redis://127.0.0.1:1")
    assert found(deploy=False) == []


# Redis


def test_a_redis_that_evicts_and_one_that_forgets(db: None, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    assert found() == ["enrichlabs.W024"]
    redis_client.config_set("appendonly", "no")
    assert found() == ["enrichlabs.W024", "enrichlabs.W025"]


def test_a_managed_redis_may_forbid_config(
    db: None, redis_client: redis.Redis, redis_at: Callable[[str], None]
) -> None:
    redis_client.acl_setuser(
        "managed", enabled=True, passwords=["+pass"], keys=["*"], commands=["+@all", "-config"]
    )
    redis_client.config_set("appendonly", "no")
    redis_at(f"unix://managed:pass@{redis_client.connection_pool.connection_kwargs['path']}")
    assert found() == ["enrichlabs.W025"]
    redis_client.acl_deluser("managed")


def test_a_redis_that_refuses_to_write(db: None, redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory", 1)
    try:
        [issue] = [issue for issue in of_redis.of_server() if issue.id == "enrichlabs.W027"]
    finally:
        redis_client.config_set("maxmemory", 0)
    assert issue.msg == "Redis is out of memory and refuses to write: no job is begun."
    assert issue.hint == "Raise its maxmemory, or delete other data."


def test_a_redis_that_hangs_is_named_in_time(redis_at: Callable[[str], None]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        redis_at(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        [issue] = of_redis.of_server()
    assert issue.id == "enrichlabs.W021"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1", "redis://none.invalid", "no://address", "redis://:hid/den@host"]
)
def test_a_redis_that_is_away(redis_at: Callable[[str], None], url: str) -> None:
    redis_at(url)
    [issue] = of_redis.of_server()
    assert issue.id == "enrichlabs.W021"
    assert "hid" not in f"{issue.msg} {issue.hint}"


@pytest.mark.parametrize("seconds", [-10, 10])
def test_clocks_that_differ(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time
    monkeypatch.setattr(of_redis.time, "time", lambda: now() + seconds)
    [issue] = of_redis.of_server()
    assert issue.id == "enrichlabs.W026"
    assert f"10.0 s {'ahead of' if seconds < 0 else 'behind'} the one of this machine" in issue.msg


@pytest.mark.parametrize(
    ("server", "issue"),
    [
        ({"redis_version": "6.2.14"}, "enrichlabs.E022"),
        ({"redis_version": "7.4.1", "redis_mode": "cluster"}, "enrichlabs.E023"),
    ],
)
def test_a_redis_that_cannot_do_it(
    monkeypatch: pytest.MonkeyPatch, server: dict[str, str], issue: str
) -> None:
    class Pretended:
        def info(self, *sections: str) -> dict[str, object]:
            return {"aof_enabled": 1, **server}

        def time(self) -> tuple[int, int]:
            return int(time.time()), 0

    monkeypatch.setattr(of_redis, "connect", lambda seconds: Pretended())
    assert [each.id for each in of_redis.of_server()] == [issue]
