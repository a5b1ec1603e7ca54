"""The console stays quick with a million rows: its lists are read in the order of an index, no further than shown."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Delivery
from jobs.tests.console import sign_in

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif("connection.vendor != 'sqlite'", reason="MongoDB explains its plans in another way"),
]
JOBS, DELIVERIES = "/admin/jobs/job/", "/admin/jobs/delivery/"


@pytest.fixture
def browser(db, make_vendor, monkeypatch):
    # With more rows than a page holds, the lists are read as they are when there are a million.
    monkeypatch.setattr("jobs.admin.listing.ReadOnlyAdmin.list_per_page", 2)
    make_vendor()
    return sign_in("view_job", "view_delivery", "retry_job")


def reads(browser, path, params):
    """Return the statements that a page reads a table of jobs with, and the plan of each."""
    with CaptureQueriesContext(connection) as queries:
        assert browser.get(path, params).status_code == 200
    statements = [query["sql"] for query in queries if 'FROM "jobs_' in query["sql"]]
    with connection.cursor() as cursor:
        return [(sql, [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()]) for sql in statements]


def assert_quick(found):
    assert len(found) == 2, "one read to count, one for the page"
    for sql, plan in found:
        assert "LIMIT" in sql
        tables = [step for step in plan if "jobs_" in step]
        assert tables
        assert all(" USING " in step for step in tables), plan
        assert not any("B-TREE" in step for step in plan), plan


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"p": "2"},
        {"status__exact": "failed"},
        {"vendor": "acme"},
        {"created": "day"},
        {"id__lt": "ffffffff"},
        {"status__exact": "failed", "vendor": "acme"},
        {"status__exact": "failed", "created": "week"},
        {"vendor": "acme", "created": "week"},
        {"status__exact": "failed", "vendor": "acme", "created": "week"},
        {"q": "John"},
    ],
    ids=str,
)
def test_the_list_of_jobs_is_read_by_an_index(browser, make_job, params):
    for _ in range(5):
        make_job(status="failed")
    assert_quick(reads(browser, JOBS, params))


def test_a_job_is_found_by_its_key(browser, make_job):
    job = make_job()
    for _sql, plan in reads(browser, JOBS, {"q": job.pk}):
        assert [step for step in plan if "jobs_job" in step and "(_id=?)" in step]


def test_the_list_leaves_the_large_columns_alone(browser, make_job):
    make_job()
    assert not [sql for sql, _ in reads(browser, JOBS, {}) if '"input"' in sql or '"result"' in sql]


@pytest.mark.parametrize(
    "params", [{}, {"verdict": "late"}, {"vendor": "acme"}, {"verdict": "late", "vendor": "acme"}], ids=str
)
def test_the_list_of_deliveries_is_read_by_an_index(browser, make_job, params):
    for number in range(5):
        job = make_job()
        Delivery.objects.create(
            key=str(number), vendor="acme", job=job.pk, body_bytes=2, verdict="late", received_at=job.created_at
        )
    found = reads(browser, DELIVERIES, params)
    assert_quick(found)
    assert not [sql for sql, _ in found if '"body"' in sql]
