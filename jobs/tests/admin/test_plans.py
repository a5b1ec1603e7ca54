"""The console stays fast with a million rows: lists are read by an index, one page at a time."""

import re

import pytest
from django.db import connection

from jobs.models import Batch, Callback
from jobs.tests.console import sign_in
from tests.plans import assert_quick, plan_of, reads_of

pytestmark = pytest.mark.django_db
JOBS, CALLBACKS = "/admin/jobs/job/", "/admin/jobs/callback/"
BATCHES = "/admin/jobs/batch/"


@pytest.fixture
def browser(db, make_vendor, monkeypatch):
    # With more rows than a page holds, the query plans are those of a million rows.
    for module in ("jobs.rows", "lists.simple", "lists.page"):
        monkeypatch.setattr(f"jobs.admin.{module}.PER_PAGE", 2)
    make_vendor()
    return sign_in("view_job", "view_batch", "view_callback", "retry_job", "view_personal_data")


@pytest.fixture
def of_two_clients(make_client):
    make_client("default"), make_client("billing")


def reads(browser, path, params):
    """Return the queries of a page on the tables of jobs."""
    with reads_of("jobs_") as reads:
        assert browser.get(path, params).status_code == 200
    return reads


def assert_read_quickly(found):
    assert len(found) == 2, "one query for the count, one for the page"
    assert_quick(found, finds=False)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"status": "failed"},
        {"vendor": "acme"},
        {"created": "day"},
        {"before": "ffffffff"},
        {"status": "failed", "vendor": "acme"},
        {"status": "failed", "created": "week"},
        {"vendor": "acme", "created": "week"},
        {"status": "failed", "vendor": "acme", "created": "week"},
        {"client": "default"},
        {"client": "default", "before": "ffffffff"},
        {"client": "default", "created": "week"},
        {"client": "default", "status": "failed"},
        {"client": "default", "vendor": "acme"},
        {"error_code": "timeout"},
        {"error_code": "timeout", "status": "failed", "created": "week"},
        {"error_code": "timeout", "vendor": "acme", "created": "week", "before": "ffffffff"},
        {"batch": "b"},
        {"batch": "b", "before": "3"},
        {"batch": "b", "vendor": "acme"},
    ],
    ids=str,
)
def test_the_job_list_is_read_by_an_index(browser, make_job, params):
    for index in range(5):
        make_job(status="failed", batch="b", batch_index=index)
    assert_read_quickly(reads(browser, JOBS, params))


@pytest.mark.parametrize(
    ("params", "count"),
    [
        # The end of the part, the count in it and the page.
        ({"status": "failed", "reruns": "1"}, 3),
        ({"status": "failed", "error_code": "a", "vendor": "acme", "ended": "hour"}, 3),
        ({"client": "default", "error_code": "timeout", "vendor": "acme"}, 3),
        ({"client": "default", "status": "failed", "vendor": "acme", "created": "week"}, 3),
        # The same for each of three statuses.
        ({"waiting_over": "1h"}, 9),
        ({"vendor": "acme", "waiting_over": "1h", "before": "ffffffff"}, 9),
        # Count, page, and how many are newer.
        ({"status": "failed", "newest": "01"}, 3),
    ],
    ids=str,
)
def test_a_part_of_the_job_list_is_read_by_an_index(browser, make_job, params, count):
    for status in ("failed", "queued", "waiting", "processing"):
        make_job(status=status)
    found = reads(browser, JOBS, params)
    assert len(found) == count
    assert_quick(found, finds=False)


@pytest.mark.sqlite
def test_jobs_of_a_batch_are_found_by_their_status(browser, make_job):
    """They are sorted then: a batch has few jobs, compared with a table."""
    make_job(status="failed", batch="b", batch_index=0)
    for read in reads(browser, JOBS, {"batch": "b", "status": "failed"}):
        assert re.search("INDEX job_batch_(status|index_unique)", plan_of(read))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"before": "ffffffff"},
        {"state": "receiving"},
        {"state": "receiving", "created": "week"},
        {"client": "default"},
        {"client": "default", "state": "receiving"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("of_two_clients")
def test_the_batch_list_is_read_by_an_index(browser, params):
    for _ in range(5):
        Batch.new("default").save(force_insert=True)
    assert_read_quickly(reads(browser, BATCHES, params))


@pytest.mark.parametrize("params", [{}, {"client": "default"}, {"status": "failed"}], ids=str)
@pytest.mark.parametrize("reference", ["", "John"])
@pytest.mark.usefixtures("of_two_clients")
def test_a_search_reads_indexes_only(browser, make_job, params, reference):
    for _ in range(5):
        make_job(status="failed", reference=reference)
    found = reads(browser, JOBS, {**params, "q": "John"})
    assert len(found) == (4 if reference else 3), "the reference, perhaps names, count and page"
    assert_quick(found, finds=False)
    assert_quick(found[:1], finds=True)
    assert connection.vendor == "mongodb" or "job_reference" in plan_of(found[0])


def test_a_job_is_found_by_its_primary_key(browser, make_job):
    job = make_job()
    assert_quick(reads(browser, JOBS, {"q": job.pk, "vendor": job.vendor}), finds=True)


def test_the_job_list_does_not_read_large_columns(browser, make_job):
    make_job()
    page, _count = reads(browser, JOBS, {})
    assert not re.search(r"\b(input|result)\b", str(page))


@pytest.fixture
def callbacks(make_job):
    jobs = [make_job() for _ in range(5)]
    fields = {"vendor": "acme", "body_bytes": 2, "verdict": "late"}
    return [
        Callback.objects.create(key=job.pk, job=job.pk, received_at=job.created_at, **fields)
        for job in jobs
    ]


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"verdict": "late"},
        {"verdict": "late", "created": "week"},
        {"vendor": "acme"},
        {"vendor": "acme", "created": "week", "before": "ffffffff"},
    ],
    ids=str,
)
@pytest.mark.usefixtures("callbacks")
def test_the_callback_list_is_read_by_an_index(browser, params):
    found = reads(browser, CALLBACKS, params)
    assert_read_quickly(found)
    assert not re.search(r"\bbody\b", str(found[0]))


@pytest.mark.parametrize("params", [{"verdict": "late"}, {"verdict": "late", "vendor": "acme"}])
def test_older_callbacks_are_read_by_an_index(browser, callbacks, params):
    """Where they begin or, of both filters, where the searched part ends; then page and count."""
    found = reads(browser, CALLBACKS, {**params, "before": callbacks[3].pk})
    assert len(found) == 3
    assert_quick(found, finds=False)
