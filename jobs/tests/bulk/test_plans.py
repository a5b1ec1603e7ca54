"""A step of a bulk action reads few rows of a million, by an index, in its order."""

import pytest

from jobs.admin.bulk import action as page
from jobs.bulk import actions, kinds, plan, step
from jobs.choice import Choice
from jobs.queue.clock import redis_clock
from jobs.tests.bulk.rows import BOB, make_failed, start, stored
from tests.plans import plan_of, reads_of, used_indexes

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


@pytest.fixture(autouse=True)
def acme(make_vendor, redis_client):
    make_vendor("acme")
    make_failed(5)


def indexes(reads):
    return [used_indexes(read) for read in reads]


@pytest.mark.parametrize(
    ("kind", "choice", "names"),
    [
        ("retry", {}, ["job_vendor_status_newest"]),
        ("retry", {"status": "cancelled"}, ["job_vendor_status_newest"]),
        ("retry", {"error_code": "timeout"}, ["job_error"]),
        ("retry", {"client": "default"}, ["job_client_status"]),
        ("retry", {"reruns": True}, ["job_vendor_status_newest"]),
        ("cancel", {}, ["job_vendor_status_newest"]),  # also of those being called
    ],
)
def test_the_next_jobs_are_read_by_an_index(kind, choice, names):
    action = start(kind, **choice)
    with reads_of("jobs_job") as reads:
        rows = kinds.rows_of(action)
        end = kinds.window(rows, action.cursor, 2)
        kinds.in_order(rows, action.cursor, end, 200)
        [each.newest(2) for each in rows]
        if kind == "cancel":
            step._being_called(action, "ffff", [])
    assert set().union(*indexes(reads)) == set(names)
    assert all(indexes(reads))


def test_so_are_those_that_were_moved(monkeypatch):
    monkeypatch.setattr(step, "STEP", 2)
    monkeypatch.setattr(step.holds, "of_vendor", lambda slug: "")
    action = start()
    step.advance()
    actions.cancel(BOB, action)
    with reads_of("jobs_job") as reads:
        step._save(stored(action), [], "f", is_last=False, course=step.Course())
        step._settle(stored(action))
        page._outcomes(action)
    assert indexes(reads) == [{"job_bulk"}] * 3


def test_the_plan_reads_each_status_by_an_index():
    with reads_of("jobs_job") as reads:
        plan.make(kinds.RETRY, Choice(vendor="acme"), redis_clock.now())
        plan.make(kinds.RETRY, Choice(), redis_clock.now())
    by_id = "sqlite_autoindex_jobs_job_1"  # the first of them, whose ids are known by then
    names = {"job_vendor_status_newest", "job_status_newest", by_id}
    assert set().union(*indexes(reads)) == names


def test_unfinished_actions_are_found_without_the_ended_ones():
    start()
    with reads_of("jobs_bulkaction") as reads:
        list(actions.unfinished()[:5])
    assert "INDEX bulk_open (finished_at=?)" in plan_of(reads[0])


def test_the_jobs_of_an_action_are_listed_by_its_mark():
    with reads_of("jobs_job") as reads:
        list(Choice(bulk="b", vendor="acme", status="queued").jobs().order_by("-pk")[:5])
    assert indexes(reads) == [{"job_bulk"}]
