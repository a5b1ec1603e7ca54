"""GET /jobs reads an index in order and stops: its cost does not grow with the number of jobs, of
this client or of others.
"""

import re
from itertools import product

import pytest
from django.db import connection

from jobs.api import idempotency, pagination
from jobs.api.pagination import Filters, cursor_after
from jobs.models import Job, Status
from tests.plans import assert_quick, reads_of, used_indexes

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("lasting_keys")]

CHOICES = (
    ("", "status=queued", "status=processing", "status=complete"),
    ("", "vendor=acme"),
    ("", "reference=order-1"),
    ("", "created_after=2026-01-01"),
    ("", "created_before=2027-01-01"),
    ("", "cursor=CURSOR"),
)
INDEXES = {
    "": "job_client_newest",
    "status": "job_client_status",
    "vendor": "job_client_vendor",
    "vendor,status": "job_client_status",
}


@pytest.mark.parametrize("query", ["&".join(filter(None, parts)) for parts in product(*CHOICES)])
def test_a_list_is_one_query_that_reads_an_index_in_order(client, query):
    address = "/jobs?" + query.replace("CURSOR", cursor_after("019a", "default"))
    with reads_of("jobs_job") as reads:
        assert client.get(address).status_code == 200
    assert len(reads) == 1
    assert_quick(reads, finds=True)


@pytest.mark.sqlite
@pytest.mark.parametrize("query", ["&".join(filter(None, parts)) for parts in product(*CHOICES)])
def test_a_list_uses_the_index_of_its_client_and_filters(client, query):
    with reads_of("jobs_job") as reads:
        client.get("/jobs?" + query.replace("CURSOR", cursor_after("019a", "default")))
    names = [name for name in ("vendor", "status") if f"{name}=" in query]
    if "status=complete" in query and "vendor" in names:
        names = ["vendor"]
    expected = "job_reference" if "reference=" in query else INDEXES[",".join(names)]
    assert used_indexes(reads[0]) == {expected}


@pytest.mark.sqlite
@pytest.mark.parametrize("statuses", [None, [Status.PROCESSING, Status.WAITING]])
@pytest.mark.parametrize("reference", ["", "order-1"])
def test_a_key_for_some_vendors_uses_these_indexes_too(statuses, reference):
    filters = Filters(vendors=["acme", "globex"], statuses=statuses, reference=reference)
    with reads_of("jobs_job") as reads:
        pagination.newest("default", filters, 21)
    expected = INDEXES["vendor,status" if statuses else "vendor"]
    assert [used_indexes(read) for read in reads] == [{"job_reference" if reference else expected}]


def test_a_key_for_many_vendors_lists_their_jobs_in_order(make_job):
    vendors = [f"v{number}" for number in range(300)]
    jobs = [make_job(vendor=vendors[number * 37 % 300]).pk for number in range(10)]
    make_job(vendor="other")
    filters = Filters(vendors=vendors, statuses=[Status.QUEUED, Status.COMPLETE])
    found = [row["id"] for row in pagination.newest("default", filters, 8)]
    assert found == jobs[:1:-1]


def test_a_key_for_no_vendor_lists_nothing(make_job):
    make_job()
    assert pagination.newest("default", Filters(vendors=[]), 21) == []


def test_a_list_reads_neither_inputs_nor_results(client, make_job):
    make_job()
    with reads_of("jobs_job") as reads:
        client.get("/jobs?status=processing")
    [read] = reads
    assert not re.search(r"\b(input|result)\b", str(read))


@pytest.mark.sqlite
def test_an_idempotency_key_is_found_by_an_index(make_job):
    make_job()
    [index] = used_indexes(idempotency.FIRST._statement.replace("%s", "'x'"))
    assert index in ("job_idempotency_key", "job_idempotency_key_unique")


@pytest.mark.sqlite
def test_jobs_without_options_are_in_no_partial_index(make_job):
    make_job()
    make_job(reference="order-1", idempotency_key="k-1")
    with connection.cursor() as cursor:
        for index, condition in (
            ("job_reference", "reference > ''"),
            ("job_idempotency_key", "idempotency_key > ''"),
            ("job_idempotency_key_unique", "idempotency_key > ''"),
        ):
            sql = f"SELECT count(*) FROM jobs_job INDEXED BY {index} WHERE {condition}"
            assert cursor.execute(sql).fetchone() == (1,)
    assert Job.objects.count() == 2
