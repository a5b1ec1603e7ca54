"""The queries that MongoDB gets for bulk actions, with their indexes."""

from datetime import UTC, datetime

import pytest

from jobs.admin.bulk import action as page
from jobs.bulk import actions, kinds, step
from jobs.models import BulkAction
from tests.mongodb_recording import indexes_for, recording

ID = "019a0000-0000-7000-8000-000000000001"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def action(kind="retry", **choice):
    chosen = {"vendor": "acme", **choice}
    return BulkAction(pk=ID, kind=kind, choice=chosen, started_at=NOW, cursor=ID, skipped={})


@pytest.mark.parametrize(
    ("kind", "choice", "index", "count"),
    [
        ("retry", {"status": "failed"}, ("vendor", "status", "_id"), 1),
        ("retry", {"error_code": "timeout"}, ("error_code", "vendor", "_id"), 1),
        ("retry", {"client": "default"}, ("client", "status", "_id"), 1),
        ("cancel", {}, ("vendor", "status", "_id"), 2),
    ],
)
def test_the_next_jobs_are_read_in_the_order_of_an_index(kind, choice, index, count):
    with recording() as sent:
        rows = kinds.rows_of(action(kind, **choice))
        kinds.in_order(rows, ID, "", 200)
        kinds.window(rows, ID, 200)
    assert len(sent) == 2 * count
    for read in sent:
        assert read.match["_id"] == {"$gt": ID}
        assert read.sort == {"_id": 1}
        assert index in indexes_for(read)
        assert {"$limit": 200} in read.whole or {"$skip": 199} in read.whole


def test_marked_jobs_are_found_by_the_mark():
    with recording() as sent:
        list(step._marked(action()))
        page._outcomes(action())
    assert [("bulk", "_id") in indexes_for(read) for read in sent] == [True, True]


def test_unfinished_actions_are_found_without_the_ended_ones():
    with recording() as sent:
        list(actions.unfinished()[:5])
    assert sent[0].match == {"finished_at": None}
    assert ("finished_at", "_id") in indexes_for(sent[0])


def test_a_step_is_saved_only_if_the_cursor_is_where_it_began():
    with recording() as sent:
        step._as_read(action()).update(cursor="x")
    assert sent[0].match == {"_id": ID, "cursor": ID, "finished_at": None}
