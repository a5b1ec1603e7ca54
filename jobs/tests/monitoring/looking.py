"""Looks at the service afresh."""

from jobs.monitoring import snapshot
from jobs.monitoring.snapshot import monitor
from jobs.tallies.recent import recent


def now():
    """Return a new snapshot."""
    monitor.forget()
    recent.forget()
    return snapshot.current()


def line(slug="acme"):
    return now().vendor(slug)
