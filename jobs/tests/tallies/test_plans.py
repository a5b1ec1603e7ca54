"""Tallies are read and folded by their indexes, however many there are."""

import pytest
from django.db import connection

from jobs.queue.clock import redis_clock
from jobs.tallies import read
from jobs.tallies.counts import Counts
from jobs.tallies.fold import CHUNK, Folder
from jobs.tallies.writer import tally
from tests.mongodb_recording import Sent, indexes_for
from tests.plans import reads_of, used_indexes

pytestmark = pytest.mark.usefixtures("transactional_db")

MINUTE, HOUR, DAY = read.MINUTE, read.HOUR, read.DAY


def test_tallies_are_read_in_ranges_of_an_index(monkeypatch):
    now = redis_clock.now()
    for hours in (1, 30, 60):
        moment = now - hours * HOUR
        tally("acme", int(moment.timestamp() // 60), "p", Counts(done=1)).save()
    monkeypatch.setattr("jobs.tallies.fold.DELETE_AFTER_SECONDS", 0.0)
    folder = Folder()
    with reads_of("jobs_tally") as reads:
        while folder.step() >= CHUNK:
            pass
        for since, step in ((HOUR, MINUTE), (DAY, 5 * MINUTE), (4 * DAY, HOUR), (60 * DAY, DAY)):
            read.by_vendor(now - since, now)
            for vendor in (None, "acme"):
                assert read.series(now - since, now, step, vendor)
        assert read.totals()
    assert len(reads) > 30
    assert not [each for each in reads if not uses_index(each)]


def uses_index(found):
    if connection.vendor == "sqlite":
        return used_indexes(found)
    collection, pipeline = found
    stages = {name: stage for each in reversed(pipeline) for name, stage in each.items()}
    match, sort = stages["$match"], stages.get("$sort", {})
    return indexes_for(Sent(collection, match, sort, pipeline))
