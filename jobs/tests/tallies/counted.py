"""What was counted so far, for tests of whatever is counted."""

from jobs import tallies
from jobs.tallies import read
from jobs.tallies.counts import Counts
from jobs.tallies.memory import memory


def counted(vendor: str = "") -> Counts:
    tallies.flush()
    return read.totals().get(vendor, Counts())


def counted_now(vendor: str) -> Counts | None:
    """Return what this process has counted and may not have written yet."""
    found = [row.counts for row in memory.rows.values() if row.vendor == vendor]
    return found[-1] if found else None
