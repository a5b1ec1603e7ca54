"""Fixtures for all tests: settings of a temporary installation, a real Valkey server, and rows."""

import os
from collections.abc import Callable, Iterator

import hypothesis
import pytest
import redis
from django.apps import apps
from django.core.management.color import no_style
from django.db import connection
from django.test import TransactionTestCase, override_settings

from audit.record import Actor
from clients.directory import directory
from harness.environment import DATA
from harness.markers import starts_processes
from harness.valkey import Valkey
from jobs.api.retry_after import durations
from jobs.callbacks import caps
from jobs.monitoring.snapshot import monitor
from jobs.queue import stream
from jobs.queue.backlog import backlog
from jobs.queue.held.recent import recent_holds
from jobs.queue.redis import hints
from jobs.tallies import read
from jobs.tallies.memory import memory
from vendors.catalogue import catalogue

# No deadline: the machine is busy with other tests, so the duration of an example says little.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use the store, so that they run on both stores, unless they are about SQLite
    or Redis alone.
    """
    for item in items:
        if starts_processes(item):
            item.add_marker("processes")
        uses_store = item.get_closest_marker("django_db") or {"db", "transactional_db"} & set(
            getattr(item, "fixturenames", ())
        )
        if item.get_closest_marker("sqlite"):
            item.add_marker(
                pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
            )
        elif uses_store and (
            not item.get_closest_marker("about_redis") or "TEST_MONGODB_URL" in os.environ
        ):
            item.add_marker("store")


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    server = Valkey(DATA)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis_client(valkey: Valkey) -> redis.Redis:
    """A client of the Valkey server, which is emptied before."""
    client = redis.Redis.from_url(valkey.url, decode_responses=True)
    client.flushall()
    return client


@pytest.fixture(scope="session", autouse=True)
def speed_up() -> Iterator[None]:
    """Skip work that would be repeated for each test: creating all permissions, and scanning the
    static files.
    """
    with pytest.MonkeyPatch.context() as patch, override_settings(WHITENOISE_AUTOREFRESH=True):
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_store)
        # A thread of its own would write to the store between tests. They call `flush`.
        patch.setattr(memory, "wake", lambda: None)
        yield


def empty_store(case: TransactionTestCase) -> None:
    """Empty all tables but those that migrations fill. Django's own method empties these too, and
    fills them again.
    """
    filled_by_migrations = {"contenttypes.contenttype", "auth.permission"}
    models = apps.get_models(include_auto_created=True)
    tables = [
        model._meta.db_table
        for model in models
        if model._meta.label_lower not in filled_by_migrations
    ]
    if connection.vendor == "mongodb":  # a flush first asks the type of each collection
        for table in tables:
            connection.database[table].delete_many({})
    else:
        connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables))


@pytest.fixture(autouse=True)
def clear_caches() -> None:
    """Forget the vendors, the keys, the backlog, the Redis outages and the counts of
    earlier tests.
    """
    catalogue.forget()
    directory.forget()
    hints.cache_clear()
    stream.hints_may_fail.__init__()
    caps.full.__init__()
    backlog.__init__()
    recent_holds.__init__()
    durations.__init__()
    monitor.__init__()
    memory.reset()
    read.forget()


@pytest.fixture
def make_vendor(db: None) -> Callable[..., object]:
    """Return a function that makes a vendor row, with defaults for fields that are not given."""
    from vendors.models import Vendor

    def make(slug: str = "acme", **fields: object) -> Vendor:
        vendor = Vendor.objects.create(
            slug=slug, **{"adapter": "sync", "url": "http://127.0.0.1:9/", **fields}
        )
        catalogue.forget()
        return vendor

    return make


@pytest.fixture
def make_job(db: None) -> Callable[..., object]:
    """Return a function that makes a job row, with defaults for fields that are not given."""
    from jobs.models import Job

    def make(**fields: object) -> Job:
        job = Job.new(
            **{"vendor": "acme", "name": "John Doe", "input": {"name": "John Doe"}, **fields}
        )
        job.save(force_insert=True)
        return job

    return make


@pytest.fixture
def make_client(db: None) -> Callable[..., object]:
    """Return a function that makes a client."""
    from clients.models import Client

    def make(slug: str = "billing", **fields: object) -> Client:
        return Client.objects.create(slug=slug, **fields)

    return make


@pytest.fixture
def make_key(make_client: Callable[..., object]) -> Callable[..., object]:
    """Return a function that creates an API key, of a new client unless one is given."""
    from clients import issuing

    def make(client: object = None, **fields: object) -> issuing.Issued:
        defaults = {"name": "nightly import", "scopes": "jobs:read"}
        return issuing.create(client or make_client(), Actor("test"), **{**defaults, **fields})

    return make
