"""manage.py recount adds what a killed process had not written, once."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command

from jobs import lifecycle, tallies
from jobs.api import intake
from jobs.models import Job, Span
from jobs.queue.clock import redis_clock
from jobs.tallies import fold, read
from jobs.tallies.counts import Counts
from jobs.tallies.fold import CHUNK, Folder
from jobs.tallies.memory import memory
from vendors.base import Done

pytestmark = pytest.mark.usefixtures("transactional_db", "redis_client")

NOW = redis_clock.now()
THEN = NOW - timedelta(hours=3)


@pytest.fixture
def at(monkeypatch):
    """Set Redis' clock."""

    def at(moment):
        monkeypatch.setattr(redis_clock, "now", lambda: moment)
        read.forget()

    return at


def finish_a_job(at, moment, minutes_away):
    """Accept and complete a job. The store accepts that only after so many minutes."""
    at(moment)
    job = Job.new(vendor="acme", input={}, id=str(id_at(moment)))
    assert intake.accept(job)
    dates = {"now": moment, "deadline_at": moment + timedelta(minutes=1)}
    [job] = lifecycle.claim([job.pk], worker="w", run_token="t", **dates)
    ended = moment + timedelta(seconds=2)
    at(moment + timedelta(minutes=minutes_away))
    lifecycle.apply([lifecycle.complete(job, Done({}, cost=0.5), ended)])


def id_at(moment):
    return UUID(int=(int(moment.timestamp() * 1000) << 80) | (uuid4().int & (2**76 - 1)))


def history():
    read.forget()
    return [read.totals(), read.by_vendor(NOW - timedelta(hours=20), NOW)]


def test_what_a_killed_process_had_not_written_is_added_once(at, make_vendor, capsys):
    make_vendor("acme")
    for minutes, minutes_away in ((0, 0), (1, 0), (5, 3)):
        finish_a_job(at, THEN + timedelta(minutes=minutes), minutes_away)
        if minutes != 1:
            tallies.flush()
        memory.reset()
    at(NOW)
    fold_all()
    assert [found["acme"].done for found in history()] == [2, 2]
    call_command("recount")
    assert "acme: 3 jobs and calls were missing." in capsys.readouterr().out
    expected = {"accepted": 3, "done": 3, "cost": 1.5, "calls": {"found": 3}}
    minute = read.series(THEN, NOW, timedelta(minutes=1), "acme")[1]
    assert minute.counts.done == 1
    for found in history():
        counts = found["acme"].as_json()
        assert {name: counts[name] for name in expected} == expected
        assert found["acme"].call.count == found["acme"].job.count == found["acme"].wait.count == 3
    call_command("recount")
    assert "missing" not in capsys.readouterr().out
    assert history()[0]["acme"].done == 3


def fold_all():
    folder = Folder()
    while folder.step() >= CHUNK:
        pass


def test_what_was_counted_is_not_added_again_by_a_clock_that_is_ahead(at, make_vendor, capsys):
    """The job's id has the time of the machine. Durations of rows have only milliseconds."""
    make_vendor("acme")
    begin = THEN.replace(second=59, microsecond=0)
    at(begin)
    job = Job.new(vendor="acme", input={}, id=str(id_at(begin + timedelta(seconds=1.5))))
    assert intake.accept(job)
    [job] = lifecycle.claim(
        [job.pk], worker="w", run_token="t", now=begin, deadline_at=begin + timedelta(minutes=1)
    )
    ended = begin + timedelta(milliseconds=22.8)  # 22 in a row on MongoDB: the next bucket
    lifecycle.apply([lifecycle.complete(job, Done({}), ended)])
    tallies.flush()
    at(NOW)
    fold_all()
    expected = history()
    call_command("recount")
    assert "missing" not in capsys.readouterr().out
    assert history() == expected


@pytest.mark.sqlite
def test_an_interrupted_recount_is_completed(at, make_vendor, capsys):
    make_vendor("acme")
    finish_a_job(at, THEN, 0)
    memory.reset()
    finish_a_job(at, THEN + timedelta(minutes=2), 0)
    tallies.flush()
    at(NOW)
    fold_all()
    minute = read.floor(THEN, timedelta(minutes=1))
    for vendor in ("acme", "*"):
        fold.write(Span.MINUTE, {(vendor, minute): Counts(done=1)})
    call_command("recount")
    assert [found["acme"].done for found in history()] == [2, 2]
    assert [found["acme"].accepted for found in history()] == [2, 2]
