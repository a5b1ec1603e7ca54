"""The exact queries that MongoDB gets for the lists of API and console, with their indexes."""

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import RequestFactory

from jobs.admin.listing import ClientFilter
from jobs.api.pagination import COLUMNS, Filters, newest
from jobs.models import Callback, Job
from tests.mongodb_recording import columns, columns_of, indexes_for, recording
from vendors.catalogue import catalogue
from vendors.models import Vendor

ID = "019a0000-0000-7000-8000-000000000001"
LARGE = {"input", "result", "metadata"}
COUNTED = [{"$project": {"_id": 1}}, {"$limit": 1000}]


@pytest.fixture(autouse=True)
def known_vendors_and_clients(monkeypatch):
    """Read no vendors from the store, and no clients to filter by."""
    monkeypatch.setattr(ClientFilter, "lookups", lambda *of: [("billing", "billing")])
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


def show(model, **params):
    """Show the list as the console does to a superuser."""
    request = RequestFactory().get("/", params)
    request.user = User(is_superuser=True, is_active=True, is_staff=True)
    listing = admin.site._registry[model].get_changelist_instance(request)
    list(listing.result_list)


@pytest.mark.parametrize(
    ("params", "match", "by", "index"),
    [
        ({}, {}, "_id", ("_id",)),
        ({"status__exact": "failed"}, {"status": "failed"}, "_id", ("status", "_id")),
        ({"vendor": "acme"}, {"vendor": "acme"}, "_id", ("vendor", "_id")),
        (
            {"status__exact": "failed", "vendor": "acme", "id__lt": "01"},
            {"status": "failed", "vendor": "acme", "_id": {"$lt": "01"}},
            "_id",
            ("vendor", "status", "_id"),
        ),
        ({"client": "billing"}, {"client": "billing"}, "_id", ("client", "_id")),
        (
            {"client": "billing", "status__exact": "failed", "vendor": "acme"},
            {"status": "failed", "client": "billing", "vendor": "acme"},
            "_id",
            ("client", "status", "_id"),
        ),
        ({"q": ID}, {"_id": ID}, "_id", ("_id",)),
        ({"q": "John"}, {"name": {"$gte": "John", "$lt": "John\U0010ffff"}}, "name", ("name",)),
    ],
    ids=str,
)
def test_the_console_lists_jobs_in_the_order_of_an_index(params, match, by, index):
    with recording() as sent:
        show(Job, **params)
    *first, count, page = [each for each in sent if each.collection == "jobs_job"]
    for by_reference in first:  # of a search
        assert by_reference.match == {"client": {"$in": ("default",)}, "reference": params["q"]}
        assert ("client", "reference", "_id") in indexes_for(by_reference)
        assert {"$limit": 1000} in by_reference.whole
    filters = [{"$match": match}] if match else []
    assert count.whole[: len(filters) + 2] == [*filters, *COUNTED]
    order = {by: 1 if by == "name" else -1}
    assert page.whole == [*filters, {"$sort": order}, {"$limit": 50}, columns_of(Job, LARGE)]
    assert index in indexes_for(page)


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
        show(Callback, **params)
    _, page = sent
    filters = [{"$match": match}] if match else []
    assert page.whole == [
        *filters,
        {"$sort": {by: -1}},
        {"$limit": 50},
        columns_of(Callback, {"body"}),
    ]
    assert index in indexes_for(page)
