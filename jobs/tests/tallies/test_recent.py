"""What happened lately is read in bounded time, and piece by piece."""

from datetime import timedelta
from threading import Thread
from unittest.mock import patch

import pytest
from django.db import OperationalError

from jobs.monitoring import snapshot
from jobs.monitoring.snapshot import monitor
from jobs.queue.clock import redis_clock
from jobs.storage.store import patience
from jobs.tallies import read
from jobs.tallies import recent as module
from jobs.tallies.counts import Counts
from jobs.tallies.recent import MINUTE, Recent, recent
from jobs.tallies.writer import tally

pytestmark = [pytest.mark.usefixtures("transactional_db"), pytest.mark.sqlite]

NOW = redis_clock.now().replace(second=30, microsecond=0)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(redis_clock, "now", lambda: NOW)
    read.forget()


def count(minutes_ago, *, process="p", done=1):
    minute = int((NOW - minutes_ago * MINUTE).timestamp() // 60)
    tally("acme", minute, process, Counts(done=done)).save()


def done(minutes):
    return sum(each["acme"].done for each in minutes.values())


def test_a_reader_without_time_for_all_leaves_less_to_the_next():
    for minutes in (0, 3, 20, 40, 60):
        count(minutes)
    found, calls = Recent(), []

    def slow(since, until):
        calls.append(since)
        if len(calls) in (3, 5):
            raise OperationalError
        return quick(since, until)

    quick = module._read
    with patch.object(module, "_read", slow):
        for _ in range(2):
            with pytest.raises(OperationalError):
                found.minutes(NOW)
        assert done(found.minutes(NOW)) == 5
        assert len(set(calls)) == len(calls) - 1, "only the piece that was interrupted"
        assert found._since <= NOW - 74 * MINUTE
        calls.clear()
        found.minutes(NOW)
        assert calls == []


def test_rows_end_with_the_readers_patience():
    for number in range(3):
        count(number)
    with (
        patch.object(module, "ROWS", 2),
        patience(-1),
        pytest.raises(OperationalError, match="too long"),
    ):
        list(module.rows("part", NOW - 9 * MINUTE, None))


def test_what_still_changes_is_read_again():
    count(3), count(1)
    found = Recent()
    assert done(found.minutes(NOW)) == 2
    count(0, done=4), count(3, process="late", done=8)
    found.refresh()
    assert done(found.minutes(NOW)) == 6
    found._unfinal_at = float("-inf")
    found.refresh()
    assert done(found.minutes(NOW)) == 14
    count(30, process="recounted", done=16)
    found._again = NOW - 28 * MINUTE
    found._again_at = float("-inf")
    assert done(found.minutes(NOW)) == 30


def test_a_thread_that_reads_for_long_does_not_stop_the_snapshot(redis_client, make_vendor):
    make_vendor("acme")
    monitor.forget()
    with patch("jobs.monitoring.snapshot.STORE_SECONDS", 0.2), recent._turn():
        looking = Thread(target=lambda: found.append(snapshot.current()))
        found = []
        looking.start()
        looking.join(5)
        assert [each.store_answers for each in found] == [True]
        assert found[0].figures.done_per_minute is None


def test_a_long_series_is_read_from_its_end_on():
    for hours in (1, 5, 23):
        count(hours * 60)
    since, step, calls = NOW - timedelta(hours=24), 5 * MINUTE, []

    def slow(of, steps, step, now):
        calls.append(steps[0])
        if len(calls) == 4:
            raise OperationalError
        return quick(of, steps, step, now)

    quick = read._read_points
    with patch.object(read, "_read_points", slow):
        first = read.series(since, NOW, step, "acme")
        assert 2 * 12 < len(first) < 4 * 12
        assert (sum(point.counts.done for point in first), first[-1].at + step > NOW) == (1, True)
        whole = read.series(since, NOW, step, "acme")
    assert (len(whole), sum(point.counts.done for point in whole)) == (289, 3)
    assert len(set(calls)) == len(calls) - 1, "only what was interrupted is read again"
