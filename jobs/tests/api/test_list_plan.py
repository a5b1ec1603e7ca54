"""GET /jobs reads an index in order and stops: its cost does not grow with the number of jobs."""

import re
from itertools import product

import pytest

from jobs.api.pagination import cursor_after
from tests.plans import assert_quick, reads_of

pytestmark = pytest.mark.django_db

CHOICES = (
    ("", "status=queued", "status=processing", "status=complete"),
    ("", "vendor=acme"),
    ("", "created_after=2026-01-01"),
    ("", "created_before=2027-01-01"),
    ("", "cursor=CURSOR"),
)


@pytest.mark.parametrize("query", ["&".join(filter(None, parts)) for parts in product(*CHOICES)])
def test_a_list_is_one_query_that_reads_an_index_in_order(client, django_assert_num_queries, query):
    address = "/jobs?" + query.replace("CURSOR", cursor_after("019a", "default"))
    client.get("/jobs/x")  # reads who may ask, as one request does every half second
    with reads_of("jobs_job") as reads, django_assert_num_queries(1):
        assert client.get(address).status_code == 200
    assert_quick(reads, finds=query not in ("", "cursor="))


def test_a_list_reads_neither_inputs_nor_results(client, make_job):
    make_job()
    with reads_of("jobs_job") as reads:
        client.get("/jobs?status=processing")
    [read] = reads
    assert not re.search(r"\b(input|result)\b", str(read))
