"""The exact queries that MongoDB gets for the audit trail, sessions and logins."""

from datetime import UTC, datetime

import pytest

from jobs.admin.audit.choice import Choice
from tests.mongodb_recording import indexes_for, recording
from users import sessions, throttle

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
ID = "019a0000-0000-7000-8000-000000000001"


@pytest.mark.parametrize(
    ("choice", "match", "index"),
    [
        ({}, {}, ("_id",)),
        ({"actor": "ann"}, {"actor": "ann"}, ("actor", "_id")),
        ({"action": "a.b"}, {"action": "a.b"}, ("action", "_id")),
        (
            {"actor": "ann", "action": "a.b"},
            {"actor": "ann", "action": "a.b"},
            ("actor", "action", "_id"),
        ),
        (
            {"target": "vendor:acme", "before": ID},
            {"target": "vendor:acme", "_id": {"$lt": ID}},
            ("target", "_id"),
        ),
    ],
    ids=str,
)
def test_the_trail_is_read_in_the_order_of_an_index(choice, match, index):
    with recording() as sent:
        list(Choice(**choice).entries()[:51])
    [read] = sent
    assert (read.collection, read.match, read.sort) == ("audit_entry", match, {"_id": -1})
    assert not match or index in indexes_for(read)


def test_a_session_is_found_by_its_primary_key():
    with recording() as sent:
        assert not sessions._is_live({"session": "s", "_auth_user_id": "1"})
    [read] = sent
    assert (read.collection, read.match) == ("users_session", {"_id": "s"})


def test_failed_logins_are_counted_by_indexes():
    with recording() as sent:
        for limit in throttle._limits("192.0.2.7"):
            assert not throttle._wait(limit, "a", "192.0.2.7", NOW)
    columns = [("account", "address"), ("address",), ("account",)]
    assert [tuple(read.match)[:-1] for read in sent] == columns
    for read, names in zip(sent, columns, strict=True):
        assert (read.collection, read.sort) == ("users_failedlogin", {"at": -1})
        assert (*names, "at") in indexes_for(read)
