"""What was counted so far, for tests of whatever is counted."""

from jobs import tallies
from jobs.tallies import read
from jobs.tallies.counts import Counts


def counted(vendor: str = "") -> Counts:
    tallies.flush()
    return read.totals().get(vendor, Counts())
