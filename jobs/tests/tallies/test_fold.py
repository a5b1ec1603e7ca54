"""How tallies are folded and dropped, and that no number changes meanwhile."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest

from jobs.models import Span, Tally
from jobs.queue.clock import redis_clock
from jobs.tallies import fold, marks, read
from jobs.tallies.counts import Counts
from jobs.tallies.fold import CHUNK, Folder
from jobs.tallies.recount import _add_to_totals
from jobs.tallies.writer import tally

pytestmark = pytest.mark.usefixtures("transactional_db")

FOLD = "jobs.tallies.fold"
DAY = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def at(monkeypatch):
    """Set Redis' clock."""

    def at(moment):
        monkeypatch.setattr(redis_clock, "now", lambda: moment)
        read.forget()

    return at


def count(moment, vendor="acme", done=1, process="p1", **more):
    counts = Counts(done=done, **more)
    counts.call.add(0.2 * done)
    tally(vendor, int(moment.timestamp() // 60), process, counts).save()


def figures():
    """Return all that readers see, of some hours."""
    read.forget()
    since, until = DAY + 90 * MINUTE, DAY + 4 * HOUR
    found = {"totals": read.totals(), "range": read.by_vendor(since, until)}
    for step in (MINUTE, HOUR, timedelta(days=1)):
        for vendor in (None, "acme"):
            points = read.series(since, until, step, vendor)
            found[step, vendor] = {point.at: point.counts for point in points if point.counts.done}
    return found


def fold_all(folder):
    for _ in range(100):
        if folder.step() < CHUNK:
            return
    raise AssertionError("it never ends")


@pytest.fixture
def some_hours():
    """What two processes did in three hours, the last of which is not over."""
    for minutes, process in ((95, "p1"), (95, "p2"), (96, "p1"), (140, "p2"), (190, "p1")):
        count(DAY + minutes * MINUTE, process=process, waiting=minutes)
        count(DAY + minutes * MINUTE, vendor="other", done=2, process=process, waiting=1)


class CrashError(Exception):
    """The process ends here."""


class Crashing:
    """Crashes at the n-th write, before or after it."""

    def __init__(self, at, *, after):
        self.at, self.after, self.count = at, after, 0

    def __call__(self, write):
        def crashing(*args, **kwargs):
            self.count += 1
            if self.count == self.at and not self.after:
                raise CrashError
            answer = write(*args, **kwargs)
            if self.count == self.at:
                raise CrashError
            return answer

        return crashing


@pytest.mark.parametrize("after", [False, True])
def test_a_fold_can_be_interrupted_anywhere(some_hours, at, after):
    now = DAY + timedelta(days=1, hours=2)
    at(now)
    expected = figures()
    for number in range(1, 100):
        crashing = Crashing(number, after=after)
        replace, move, delete = fold.bulk_writes.replace_each, marks.move, fold.delete_read
        with (
            patch(f"{FOLD}.bulk_writes.replace_each", crashing(replace)),
            patch(f"{FOLD}.marks.move", crashing(move)),
            patch(f"{FOLD}.delete_read", crashing(delete)),
            patch(f"{FOLD}.DELETE_AFTER_SECONDS", 0.0),
        ):
            try:
                fold_all(Folder())
            except CrashError:
                assert figures() == expected
            else:
                break
    assert figures() == expected
    assert marks.read().day == DAY + timedelta(days=1)
    assert not Tally.objects.filter(span=Span.PART).exists()


def test_readers_miss_nothing_during_a_fold(some_hours, at):
    at(DAY + timedelta(days=1, hours=2))
    expected, before = figures(), marks.read()
    while fold.fold_one(before, redis_clock.now()):
        with patch("jobs.tallies.read.marks.read", lambda marked=before: marked):
            found = figures()  # by the old marks
        assert {**found, "totals": None} == {**expected, "totals": None}
        before = marks.read()
    assert Tally.objects.filter(span=Span.PART).exists()  # for a minute


def test_two_leaders_fold_no_less_than_one(some_hours, at):
    """The first one stops for so long that the second deletes some of what the first will read."""
    now = DAY + timedelta(days=1)
    at(now)
    expected, found = figures(), marks.read()

    def overtaken(rows, since, until):
        at = first(rows, since, until)
        with patch(f"{FOLD}._first", first):
            fold_all(Folder())
        Tally.objects.filter(span=Span.PART, process="p1").delete()
        return at

    first = fold._first
    with patch(f"{FOLD}._first", overtaken):
        assert not fold.fold_minutes(found, now)
    assert figures() == expected


@pytest.mark.sqlite
def test_totals_never_fall_and_old_rows_go(at):
    for total, days in enumerate((0, 1.1, 2.5, 40, 95, 800, 1700), 1):
        moment = DAY + timedelta(days=days)
        count(moment)
        for minutes in (0, 11, 61, 25 * 60):
            at(moment + minutes * MINUTE)
            with patch(f"{FOLD}.DELETE_AFTER_SECONDS", 0.0):
                fold_all(Folder())
            assert read.totals()["acme"].done == total
    assert sorted(Tally.objects.values_list("span", "vendor")) == [
        *((span, vendor) for span in ("day", "hour") for vendor in ("*", "acme")),
        *(("minute", vendor) for vendor in ("*", "acme")),
    ]


@pytest.mark.sqlite
def test_an_idle_service_folds_its_last_hour(at):
    count(DAY)
    at(DAY + 30 * MINUTE)
    fold_all(Folder())
    assert marks.read() == marks.Marks(DAY + 20 * MINUTE)
    at(DAY + 2 * HOUR)
    fold_all(Folder())
    assert marks.read().hour == DAY + HOUR


def test_a_fold_does_not_undo_what_recount_adds(some_hours, at):
    at(DAY + timedelta(days=1))
    fold_all(Folder())
    before, more = marks.counted_before(), Counts(done=10)
    _add_to_totals("acme", more)
    assert not marks.move_hour(before, before.at + HOUR, before.by_vendor())
    assert marks.counted_before().by_vendor()["acme"].done == 5 + 10
