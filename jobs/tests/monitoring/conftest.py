from contextlib import ExitStack

import pytest

from jobs.tests.monitoring.faults import Stage


@pytest.fixture
def stage(redis_client, make_vendor, settings, monkeypatch):
    """A service that is well."""
    # A busy machine is no fault.
    monkeypatch.setattr("jobs.queue.heartbeat.HEARTBEAT_TIMEOUT_SECONDS", 50)
    monkeypatch.setattr("jobs.monitoring.rules.service.SLOW_MS", 60_000)
    monkeypatch.setattr("jobs.monitoring.rules.service.CLOCK_SECONDS", 30)
    with ExitStack() as until_the_end:
        yield Stage(redis_client, make_vendor, settings, until_the_end)
