"""A callback and a poll both bring the answer: the first is applied, the other is kept."""

import pytest

from jobs.models import Callback
from jobs.recovery.polls import add_due_polls
from jobs.tests.polling import POLLED, PollingWorker, polled, polls_of, row, waiting
from jobs.worker.execute import execute
from vendors.base import Done

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")

__all__ = ["polled"]  # a fixture

BOTH = {**POLLED, "callback": {}}
BY_POLL = {"name": "by poll"}


@pytest.fixture
def job(polled, make_job):
    polled(Done(BY_POLL), definition=BOTH, adapter="async")
    return waiting(make_job)


def test_a_callback_after_a_poll_is_kept_and_answered_with_200(job, post):
    PollingWorker().poll()
    answer = post(job)
    assert (answer.status_code, answer.json()["status"]) == (200, "late")
    assert (row(job).result, Callback.objects.get().verdict) == (BY_POLL, "late")


def test_a_callback_during_a_poll_wins(job, post):
    worker = PollingWorker()
    add_due_polls()
    executions = worker.claim()
    execute(executions[0])
    assert post(job).status_code == 200
    worker.finish(executions)
    assert (row(job).result, Callback.objects.get().verdict) == ({"name": "John Doe"}, "applied")
    assert [poll.outcome for poll in polls_of(job)] == ["found"]
