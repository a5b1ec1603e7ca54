"""What every test can have: an installation of its own in a temporary folder, a real Valkey server,
and an empty Redis.
"""

import os
from collections.abc import Callable, Iterator

import hypothesis
import pytest
import redis
from django.apps import apps
from django.core.management.color import no_style
from django.db import connection
from django.test import TransactionTestCase, override_settings

from harness.environment import DATA
from harness.markers import starts_processes
from harness.valkey import Valkey
from jobs.api.retry_after import durations
from jobs.callbacks import caps
from jobs.queue import stream
from jobs.queue.backlog import backlog
from jobs.queue.redis import hints
from vendors.catalogue import catalogue

# How long an example takes tells of the machine, which is busy with other tests, and not of the
# code.
hypothesis.settings.register_profile(
    "busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What touches the store runs on both stores, unless it says that it is about SQLite, or Redis
    alone.
    """
    for item in items:
        if starts_processes(item):
            item.add_marker("processes")
        touches = item.get_closest_marker("django_db") or {"db", "transactional_db"} & set(
            getattr(item, "fixturenames", ())
        )
        if item.get_closest_marker("sqlite"):
            item.add_marker(
                pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
            )
        elif touches and (
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
    """A client of an empty server: nothing of an earlier test is left in it."""
    client = redis.Redis.from_url(valkey.url, decode_responses=True)
    client.flushall()
    return client


@pytest.fixture(scope="session", autouse=True)
def quick_ways() -> Iterator[None]:
    """What a suite of a thousand tests must not do for each: make all permissions anew, look at
    every static file.
    """
    with pytest.MonkeyPatch.context() as patch, override_settings(WHITENOISE_AUTOREFRESH=True):
        patch.setattr(TransactionTestCase, "_fixture_teardown", empty_the_store)
        yield


def empty_the_store(case: TransactionTestCase) -> None:
    """Leave what migrations have made, as a rollback does; Django's own way flushes that too, and
    makes it again.
    """
    made_by_migrations = {"contenttypes.contenttype", "auth.permission"}
    models = apps.get_models(include_auto_created=True)
    tables = [
        model._meta.db_table
        for model in models
        if model._meta.label_lower not in made_by_migrations
    ]
    if connection.vendor == "mongodb":  # whose own way asks of each collection first what it is
        for table in tables:
            connection.database[table].delete_many({})
    else:
        connection.ops.execute_sql_flush(connection.ops.sql_flush(no_style(), tables))


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """No test sees the vendors of another, its backlog, or its cool-off after Redis was away."""
    catalogue.forget()
    hints.cache_clear()
    stream.hints_may_fail.__init__()
    caps.full.__init__()
    backlog.__init__()
    durations.__init__()


@pytest.fixture
def make_vendor(db: None) -> Callable[..., object]:
    """Make a vendor row; whatever is not named has a default that suits a test."""
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
    """Make a job row; whatever is not named has a default that suits a test."""
    from jobs.models import Job

    def make(**fields: object) -> Job:
        job = Job(**{"vendor": "acme", "name": "John Doe", "input": {"name": "John Doe"}, **fields})
        job.save(force_insert=True)
        return job

    return make
