from datetime import UTC, datetime, timedelta

import pytest
from requests.structures import CaseInsensitiveDict

from vendors.http.waits import MAX_CREDITS_WAIT, MAX_WAIT, retry_after, wait_of

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


def wait(*, longest: timedelta = MAX_WAIT, **headers: str) -> float | None:
    """Return the seconds to wait. `Retry_After="5"` is the header Retry-After."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    found = wait_of(CaseInsensitiveDict(named), NOW, longest=longest)
    return found and found.total_seconds()


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("5", 5),
        (" 5 ", 5),
        ("1.5", 1.5),
        ("0", 1),
        ("3601", 3600),
        ("999999999", 3600),
        ("9" * 5000, 3600),
        (str(EPOCH + 7), 7),
        (f"{EPOCH + 7}.5", 7.5),
        (str(EPOCH * 1000 + 7500), 7.5),
        (str(EPOCH - 7), 1),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 30),
        ("Sunday, 01-Mar-26 12:00:30 GMT", 30),
        ("Sun Mar  1 12:00:30 2026", 30),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 1),
        ("Sun, 01 Mar 2126 12:00:00 GMT", 3600),
        ("2026-03-01T12:00:30Z", 30),
        ("2026-03-01T13:00:30.250000+01:00", 30.25),
        ("2026-03-01T12:01", 60),
        ("6m0s", 360),
        ("1h", 3600),
        ("250ms", 1),
        ("1m30.5s", 90.5),
        ("1d", 3600),
    ],
)
def test_each_way_to_write_a_wait_is_read_and_bounded(value: str, seconds: float) -> None:
    assert wait(Retry_After=value) == seconds
    assert wait(X_RateLimit_Reset=value) == seconds


@pytest.mark.parametrize(
    "value",
    ["", "-5", "soon", "1e3", "٥", "5, 6", "5 s ago", "Sun, 01 Mar 99999 12:00:30 GMT"]
    + ["2026-03-01T25:00:00Z", "{}", "1x", "nan", "inf", "0001-01-01T00:00:00+14:00x"],
)
def test_nonsense_is_ignored(value: str) -> None:
    assert wait(Retry_After=value) is None
    assert wait(Retry_After=value, RateLimit_Reset="9") == 9


@pytest.mark.parametrize("value", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_times_at_the_ends_of_the_calendar_are_bounded(value: str) -> None:
    assert wait(Retry_After=value) in (1, 3600)


@pytest.mark.parametrize(
    ("date", "seconds"),
    [("Sun, 01 Mar 2026 12:00:20 GMT", 10), ("Sun, 01 Mar 2026 13:00:20 GMT", 1), ("x", 30)],
)
def test_times_are_relative_to_the_vendors_clock(date: str, seconds: float) -> None:
    for value in ("Sun, 01 Mar 2026 12:00:30 GMT", "2026-03-01T12:00:30Z", str(EPOCH + 30)):
        assert wait(Retry_After=value, Date=date) == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"RateLimit_Reset": "9"}, 9),
        ({"X_Rate_Limit_Reset": "9", "X_Rate_Limit_Remaining": "0"}, 9),
        ({"X_Rate_Limit_Reset": "9", "X_Rate_Limit_Remaining": "0.0"}, 9),
        ({"X_RateLimit_Reset": "9", "X_RateLimit_Remaining": "3"}, None),
        ({"X_RateLimit_Reset": "9", "X_RateLimit_Remain": "3"}, None),
        ({"X_RateLimit_Reset": "9", "X_RateLimit_Remaining": '{"minute": 0, "day": 7}'}, 9),
        ({"X_RateLimit_Reset": "9", "X_RateLimit_Remaining": '{"minute": 3, "day": 7}'}, None),
        ({"X_RateLimit_Reset": "9", "X_RateLimit_Remaining": "plenty"}, 9),
        ({"X_RateLimit_Reset_After": "1.5", "X_RateLimit_Remaining": "0"}, 1.5),
        ({"X_RateLimit_Reset_After": "1.5", "X_RateLimit_Remaining": "1"}, None),
        ({"X_RateLimit_Reset_Ms": "2500"}, 2.5),
        ({"Retry_After_Ms": "2500"}, 2.5),
        ({"X_Ms_Retry_After_Ms": "2500"}, 2.5),
        ({"X_Retry_After": "4"}, 4),
        # OpenAI, Anthropic, Linear: a window for each of several things
        (
            {
                "x_ratelimit_reset_requests": "1s",
                "x_ratelimit_remaining_requests": "59",
                "x_ratelimit_reset_tokens": "6m0s",
                "x_ratelimit_remaining_tokens": "0",
            },
            360,
        ),
        (
            {
                "anthropic_ratelimit_requests_reset": "2026-03-01T12:00:30Z",
                "anthropic_ratelimit_requests_remaining": "0",
                "anthropic_ratelimit_tokens_reset": "2026-03-01T12:00:50Z",
                "anthropic_ratelimit_tokens_remaining": "1",
            },
            30,
        ),
        # GitHub's secondary limit: there is room in the window, but it says how long to wait
        ({"Retry_After": "60", "X_RateLimit_Remaining": "9", "X_RateLimit_Reset": "999"}, 60),
        ({"Retry_After": "2", "X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "9"}, 9),
        # the IETF's draft, and before
        ({"RateLimit": '"minute";r=0;t=30, "day";r=5;t=3000'}, 30),
        ({"RateLimit": "limit=100, remaining=0, reset=50"}, 50),
        ({"RateLimit": "limit=100, remaining=1, reset=50"}, None),
        ({"RateLimit_Policy": '"day";q=5;w=86400'}, None),
        ({"X_Password_Reset": "9", "X_Rate_Limit_Limit": "9"}, None),
        ({}, None),
    ],
)
def test_the_longest_wait_that_applies_counts(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert wait(**headers) == seconds


def test_a_wait_for_credits_may_last_until_the_next_month() -> None:
    assert wait(longest=MAX_CREDITS_WAIT, Retry_After="2592000") == 2_592_000
    assert wait(longest=MAX_CREDITS_WAIT, Retry_After="999999999") == 32 * 86400


def test_retry_after_alone_ignores_windows() -> None:
    headers = CaseInsensitiveDict({"X-RateLimit-Reset": "9"})
    assert retry_after(headers, NOW) is None
    assert retry_after({**headers, "retry-after": "5"}, NOW) == timedelta(seconds=5)
