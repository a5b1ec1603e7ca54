from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vendors.limits import Quota
from vendors.limits.quotas import BOUNDARY, PERIODS

pytestmark = pytest.mark.sqlite
# With midnights that clocks leave out (Havana, Beirut) or show twice (Azores), with half
# an hour of daylight saving (Lord_Howe), without a whole day (Apia), and far from UTC.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
]
quotas = st.builds(
    Quota,
    calls=st.just(5000),
    period=st.sampled_from(PERIODS),
    zone=st.sampled_from(ZONES),
    first_day=st.integers(1, 31),
)
times = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


@given(quotas, times)
@example(Quota(5000, "day", "Pacific/Apia"), datetime(2011, 12, 30, 12, tzinfo=UTC))
def test_each_time_is_in_one_period_and_periods_follow_each_other(
    quota: Quota, now: datetime
) -> None:
    previous, current, following = quota.ranges(now)
    assert current.begin + BOUNDARY <= now < current.end - BOUNDARY
    assert previous.end - BOUNDARY == current.begin + BOUNDARY
    assert current.end - BOUNDARY == following.begin + BOUNDARY
    assert previous.begin < current.begin < following.begin < following.end
    # Whoever looks at another time of a period sees the same periods.
    last = current.end - BOUNDARY - timedelta(microseconds=1)
    assert quota.ranges(current.begin + BOUNDARY) == quota.ranges(last)
    assert quota.ranges(last)[1:] == [current, following]
    assert quota.ranges(current.end - BOUNDARY)[:2] == [current, following]


@given(quotas, times)
def test_a_period_begins_with_its_first_day(quota: Quota, now: datetime) -> None:
    begin = quota.ranges(now)[1].begin + BOUNDARY
    first = begin.astimezone(quota.tzinfo)
    before = (begin - timedelta(microseconds=1)).astimezone(quota.tzinfo)
    assert before.date() < first.date()
    if quota.period == "week" and quota.zone != "Pacific/Apia":
        assert first.weekday() == 0
    if quota.period == "month":
        is_last = (first + timedelta(days=1)).month != first.month
        left_out = quota.zone == "Pacific/Apia" and (first.year, first.month) == (2011, 12)
        assert first.day == quota.first_day or left_out or (first.day < quota.first_day and is_last)


@pytest.mark.parametrize(
    ("quota", "now", "begin", "end"),
    [
        # Daylight saving begins and ends within the month.
        (Quota(1, "month", "Europe/Berlin"), "2026-03-31T21:59:59Z", "2026-03-01", "2026-04-01"),
        (Quota(1, "month", "Europe/Berlin"), "2026-03-31T22:00:00Z", "2026-04-01", "2026-05-01"),
        (Quota(1, "month", "Europe/Berlin"), "2026-10-31T23:00:00Z", "2026-11-01", "2026-12-01"),
        (Quota(1, "month", "UTC", 17), "2026-01-16T23:59:59Z", "2025-12-17", "2026-01-17"),
        (Quota(1, "month", "UTC", 31), "2028-02-29T12:00:00Z", "2028-02-29", "2028-03-31"),
        (Quota(1, "month", "UTC", 31), "2027-02-28T12:00:00Z", "2027-02-28", "2027-03-31"),
        (Quota(1, "month", "UTC", 30), "2027-03-29T12:00:00Z", "2027-02-28", "2027-03-30"),
        (Quota(1, "month", "UTC", 31), "2027-04-29T12:00:00Z", "2027-03-31", "2027-04-30"),
        (Quota(1, "week", "Asia/Kathmandu"), "2026-12-31T12:00:00Z", "2026-12-28", "2027-01-04"),
        (Quota(1, "day", "America/New_York"), "2026-03-08T12:00:00Z", "2026-03-08", "2026-03-09"),
        # The clocks go from 23:59:59 to 1:00, so the day begins at 1:00.
        (Quota(1, "day", "Asia/Beirut"), "2026-03-29T12:00Z", "2026-03-29T01:00", "2026-03-30"),
        # They go from 0:59:59 back to 0:00, so the day begins with the first 0:00.
        (Quota(1, "day", "Atlantic/Azores"), "2026-10-25T00:30Z", "2026-10-25", "2026-10-26"),
        # Samoa had no 30 December 2011.
        (Quota(1, "day", "Pacific/Apia"), "2011-12-30T12:00Z", "2011-12-31", "2012-01-01"),
        (Quota(1, "day", "Pacific/Apia"), "2011-12-30T09:00Z", "2011-12-29", "2011-12-31"),
    ],
)
def test_the_period_of_a_time(quota: Quota, now: str, begin: str, end: str) -> None:
    found = quota.ranges(datetime.fromisoformat(now))[1]
    assert found == (_utc(begin, quota.zone) - BOUNDARY, _utc(end, quota.zone) + BOUNDARY)


def _utc(text: str, zone: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


def test_a_call_next_to_a_boundary_counts_in_both_periods() -> None:
    quota = Quota(5000, "month", "Europe/Berlin")
    boundary = datetime(2026, 10, 31, 23, tzinfo=UTC)

    def containing(at: datetime) -> int:
        return sum(each.begin <= at < each.end for each in quota.ranges(at))

    second = timedelta(seconds=1)
    counts = [containing(boundary + shift * second) for shift in (-6, -5, 0, 4, 5)]
    assert counts == [1, 2, 2, 2, 1]
