"""The exact queries that MongoDB gets for the lists of API and console, with their indexes."""

from datetime import datetime

import pytest
from django.http import QueryDict

from jobs.admin.callbacks.listing import chosen
from jobs.admin.jobs.rows import page_of
from jobs.admin.lists import simple
from jobs.api.pagination import COLUMNS, Filters, newest
from jobs.choice import Choice
from jobs.models import Callback, Job
from tests.mongodb_recording import columns, columns_of, indexes_for, recording
from vendors.catalogue import catalogue
from vendors.models import Vendor

ID = "019a0000-0000-7000-8000-000000000001"
LARGE = {"input", "result", "metadata"}
COUNTED = [{"$project": {"_id": 1}}, {"$limit": 10_000}]


@pytest.fixture(autouse=True)
def known_vendors(monkeypatch):
    """Read no vendors from the store."""
    monkeypatch.setattr(catalogue, "all", lambda: {"acme": Vendor(slug="acme")})


OURS = {"client": "default"}


@pytest.mark.parametrize(
    ("filters", "match", "index"),
    [
        ({}, OURS, ("client", "_id")),
        (
            {"statuses": ["failed"]},
            {**OURS, "status": "failed"},
            ("client", "status", "_id"),
        ),
        (
            {"statuses": ["processing", "waiting"]},
            {**OURS, "status": {"$in": ("processing", "waiting")}},
            ("client", "status", "_id"),
        ),
        (
            {"vendors": ["acme"]},
            {**OURS, "vendor": "acme"},
            ("client", "vendor", "_id"),
        ),
        (
            {"vendors": ["acme", "globex"], "statuses": ["failed"]},
            {**OURS, "vendor": {"$in": ("acme", "globex")}, "status": "failed"},
            ("client", "status", "_id"),
        ),
        (
            {"reference": "order-1"},
            {**OURS, "reference": "order-1"},
            ("client", "reference", "_id"),
        ),
        (
            {"reference": "order-1", "vendors": ["acme"], "statuses": ["failed"]},
            {
                **OURS,
                "reference": "order-1",
                "vendor": "acme",
                "status": "failed",
            },
            ("client", "reference", "_id"),
        ),
        (
            {"bounds": {"gte": "01", "lt": "02"}},
            {**OURS, "_id": {"$gte": "01", "$lt": "02"}},
            ("client", "_id"),
        ),
    ],
    ids=str,
)
def test_jobs_are_listed_in_the_order_of_an_index(filters, match, index):
    with recording() as sent:
        newest("default", Filters(**filters), 21)
    [read] = sent
    assert read.whole == [
        {"$match": match},
        {"$sort": {"_id": -1}},
        {"$limit": 21},
        columns(*COLUMNS),
    ]
    assert index in indexes_for(read)


def _query(**params):
    query = QueryDict(mutable=True)
    query.update(params)
    return query


@pytest.mark.parametrize(
    ("params", "match", "index"),
    [
        ({}, {}, ("_id",)),
        ({"status": "failed"}, {"status": "failed"}, ("status", "_id")),
        ({"vendor": "acme"}, {"vendor": "acme"}, ("vendor", "_id")),
        (
            {"status": "failed", "vendor": "acme"},
            {"vendor": "acme", "status": "failed"},
            ("vendor", "status", "_id"),
        ),
        ({"client": "billing"}, {"client": "billing"}, ("client", "_id")),
        (
            {"client": "billing", "status": "failed"},
            {"client": "billing", "status": "failed"},
            ("client", "status", "_id"),
        ),
        (
            {"error_code": "timeout", "status": "failed"},
            {"error_code": "timeout"},
            ("error_code", "_id"),
        ),
        (
            {"error_code": "timeout", "vendor": "acme"},
            {"error_code": "timeout", "vendor": "acme"},
            ("error_code", "vendor", "_id"),
        ),
    ],
    ids=str,
)
def test_the_console_lists_jobs_in_the_order_of_an_index(params, match, index):
    with recording() as sent:
        page_of(Choice.from_query(_query(**params)), "02")
    page, count = [each for each in sent if each.collection == "jobs_job"]
    filters = [{"$match": match}] if match else []
    assert count.whole[: len(filters) + 2] == [*filters, *COUNTED]
    assert page.whole == [
        {"$match": {**match, "_id": {"$lt": "02"}}},
        {"$sort": {"_id": -1}},
        {"$limit": 51},
        columns_of(Job, LARGE),
    ]
    assert index in indexes_for(page)


def test_the_console_searches_a_part_of_the_jobs_if_no_index_has_all_filters():
    match = {"client": "billing", "status": "failed"}
    ended = {"ended_after": "2026-01-31T12:00"}
    with recording() as sent:
        page_of(Choice.from_query(_query(**match, vendor="acme", reruns="1", **ended)))
    end, page, count = sent
    assert end.whole == [
        {"$match": match},
        {"$sort": {"_id": -1}},
        {"$skip": 19_999},
        {"$limit": 1},
        columns("_id"),
    ]
    assert ("client", "status", "_id") in indexes_for(end)
    filters = {**match, "vendor": "acme", "run": {"$gt": 1}, "_id": {"$gte": ""}}
    filters["finished_at"] = {"$gte": datetime(2026, 1, 31, 12)}  # as the store has it
    assert page.match == count.match == filters
    assert ("client", "status", "_id") in indexes_for(page)


def test_a_search_of_jobs_reads_the_indexes_of_references_and_names():
    with recording() as sent:
        page_of(Choice.from_query(_query(q="John")))
    # Nothing is found, so that no page is read.
    by_reference, by_name = [each for each in sent if each.collection == "jobs_job"]
    assert by_reference.match == {"client": {"$in": ("default",)}, "reference": "John"}
    assert ("client", "reference", "_id") in indexes_for(by_reference)
    assert by_name.match == {"name": {"$gte": "John", "$lt": "John\U0010ffff"}}
    assert ("name",) in indexes_for(by_name)
    assert {"$limit": 1000} in by_reference.whole
    assert {"$limit": 1000} in by_name.whole


@pytest.mark.parametrize(
    ("params", "match", "by", "index"),
    [
        ({}, {}, "_id", ("_id",)),
        ({"verdict": "late"}, {"verdict": "late"}, "received_at", ("verdict", "received_at")),
        ({"vendor": "acme"}, {"vendor": "acme"}, "_id", ("vendor", "_id")),
        ({"q": ID}, {"job": ID}, "received_at", ("job", "received_at")),
    ],
    ids=str,
)
def test_the_console_lists_callbacks_in_the_order_of_an_index(params, match, by, index):
    with recording() as sent:
        rows, order, _leading = chosen(params.get("q", ""), params)
        simple.page_of(rows, "", 1, order)
    page, _count = sent
    filters = [{"$match": match}] if match else []
    assert page.whole == [
        *filters,
        {"$sort": {by: -1}},
        {"$limit": 51},
        columns_of(Callback, {"body"}),
    ]
    assert index in indexes_for(page)
