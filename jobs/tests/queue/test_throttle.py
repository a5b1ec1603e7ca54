"""How long a vendor is paused that throttles us without saying for how long: a pure function."""

from datetime import UTC, datetime, timedelta

import pytest

from jobs.queue.health.throttle import pause_seconds

pytestmark = pytest.mark.sqlite

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3600


def calls(hours, unit_seconds, late_seconds=0.0):
    """Return when a vendor that throttles every call is called, in seconds."""
    at = [0.0]
    while at[-1] < hours * HOUR * unit_seconds:
        now = BEGAN + timedelta(seconds=at[-1])
        at.append(at[-1] + pause_seconds(BEGAN, now, unit_seconds) + late_seconds)
    return at[:-1]


@pytest.mark.parametrize("unit_seconds", [1.0, 0.01])
@pytest.mark.parametrize("late", [0.0, 0.1, 2.0])
def test_a_vendor_that_throttles_us_for_hours_is_called_seldom(unit_seconds, late):
    at = calls(24, unit_seconds, late * unit_seconds)
    hour = HOUR * unit_seconds
    for start in at:
        assert sum(start <= each < start + hour for each in at) <= 14
    assert len([each for each in at if each >= 23 * hour]) >= 3


def test_each_pause_doubles_up_to_fifteen_minutes():
    at = calls(2, 1.0)
    lengths = [later - earlier for earlier, later in zip(at, at[1:], strict=False)]
    assert lengths[:11] == [1, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert set(lengths[11:]) == {900}


def test_a_clock_that_goes_back_does_not_shorten_the_pause():
    assert pause_seconds(BEGAN, BEGAN - timedelta(seconds=9), 1.0) == 1
