"""GET /jobs walks an index and stops: its cost does not grow with the number of jobs."""

from itertools import product

import pytest
from django.core import signing
from django.db import connection

pytestmark = [pytest.mark.django_db, pytest.mark.skipif(connection.vendor != "sqlite", reason="EXPLAIN QUERY PLAN is SQLite's")]

CHOICES = (
    ("", "status=queued", "status=processing", "status=complete"),
    ("", "vendor=acme"),
    ("", "created_after=2026-01-01"),
    ("", "created_before=2027-01-01"),
    ("", "cursor=CURSOR"),
)


@pytest.mark.parametrize("query", ["&".join(filter(None, parts)) for parts in product(*CHOICES)])
def test_a_list_is_one_query_that_reads_an_index_in_order(client, django_assert_num_queries, query):
    address = "/jobs?" + query.replace("CURSOR", signing.dumps("019a", salt="jobs.pagination"))
    with django_assert_num_queries(1) as captured:
        assert client.get(address).status_code == 200
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN QUERY PLAN " + captured[0]["sql"])
        plan = [step for *_, step in cursor.fetchall()]
    reads = [step for step in plan if step.startswith(("SCAN", "SEARCH"))]
    assert reads
    assert all("USING INDEX" in step for step in reads), plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan
    assert query in ("", "cursor=") or all(step.startswith("SEARCH") for step in reads), plan


def test_a_list_reads_neither_inputs_nor_results(client, make_job, django_assert_num_queries):
    make_job()
    with django_assert_num_queries(1) as captured:
        client.get("/jobs?status=processing")
    assert '"input"' not in captured[0]["sql"]
    assert '"result"' not in captured[0]["sql"]
