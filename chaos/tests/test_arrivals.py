"""Which calls the vendor counts against a limit."""

import pytest

from chaos import arrivals
from chaos.history import History, Story
from chaos.journal import Journal, Trouble
from chaos.ledger import Arrival
from chaos.tests.conftest import JOB
from jobs.models import Job


def history_of(times, *troubles):
    calls = [Arrival(at, "limited", JOB, 1, 1, "ok", None) for at in times]
    return History(
        1,
        [],
        {JOB: Story(Job(id=JOB, vendor="limited"), arrivals=calls)},
        Journal(troubles=list(troubles)),
    )


TOO_MANY_SENTENCE = "21 calls arrived within 1 s of limited (limit 20), which allowed 20"
TOO_MANY = [100 + number / 50 for number in range(21)]


def test_more_arrivals_than_the_limit_are_found():
    assert list(arrivals.above_limit(history_of(TOO_MANY))) == [TOO_MANY_SENTENCE]
    assert not list(arrivals.above_limit(history_of(TOO_MANY[1:])))


@pytest.mark.parametrize(
    ("name", "is_excluded"),
    [
        ("worker_frozen", True),
        ("worker-1 cut off", True),
        ("worker_killed", False),
        ("store_locked", False),
    ],
)
def test_calls_delayed_by_the_campaign_are_excluded(name, is_excluded):
    trouble = Trouble(name, "workers", 90.0, 100.0)
    assert list(arrivals.above_limit(history_of(TOO_MANY, trouble))) == (
        [] if is_excluded else [TOO_MANY_SENTENCE]
    )
    assert list(arrivals.above_limit(history_of([at + 10 for at in TOO_MANY], trouble)))
