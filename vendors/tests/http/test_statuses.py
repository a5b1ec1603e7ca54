from datetime import UTC, datetime, timedelta

import pytest

from vendors.http.statuses import error_of
from vendors.http.waits import retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("5", seconds(5)),
        (" 5 ", seconds(5)),
        ("1.5", seconds(1.5)),
        ("0", seconds(1)),
        ("3600", HOUR),
        ("3601", HOUR),
        ("9" * 5000, HOUR),
        ("Sun, 01 Mar 2026 12:00:30 GMT", seconds(30)),
        ("Sunday, 01-Mar-26 12:00:30 GMT", seconds(30)),
        ("Sun Mar  1 12:00:30 2026", seconds(30)),
        ("Sun, 01 Mar 2026 11:00:00 GMT", seconds(1)),
        ("Sun, 01 Mar 2126 12:00:00 GMT", HOUR),
        (None, None),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("1e3", None),
        ("٥", None),
        ("5, 6", None),
        ("2026-03-01T12:00:30Z", seconds(30)),
        ("Sun, 01 Mar 99999 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_parsed_and_bounded(value: str | None, wait: timedelta | None) -> None:
    assert retry_after({"Retry-After": value} if value is not None else {}, NOW) == wait


@pytest.mark.parametrize(
    ("date", "wait"),
    [
        ("Sun, 01 Mar 2026 12:00:20 GMT", seconds(10)),
        ("Sun, 01 Mar 2026 13:00:20 GMT", seconds(1)),
        ("nonsense", seconds(30)),
        (None, seconds(30)),
    ],
)
def test_a_retry_after_date_is_relative_to_the_vendors_clock(
    date: str | None, wait: timedelta
) -> None:
    headers = {"Retry-After": "Sun, 01 Mar 2026 12:00:30 GMT", **({"Date": date} if date else {})}
    assert retry_after(headers, NOW) == wait


@pytest.mark.parametrize(
    ("status", "headers", "code", "wait"),
    [
        (429, {}, "rate_limited", None),
        (429, {"Retry-After": "soon"}, "rate_limited", None),
        (429, {"Retry-After": "9"}, "rate_limited", seconds(9)),
        (503, {"Retry-After": "9"}, "rate_limited", seconds(9)),
        (503, {"Retry-After": "soon"}, "vendor_error", None),
        (503, {}, "vendor_error", None),
        (500, {"Retry-After": "9"}, "vendor_error", None),
        (599, {}, "vendor_error", None),
        (408, {}, "vendor_error", None),
        (425, {}, "vendor_error", None),
        (401, {}, "auth", None),
        (401, {"Retry-After": "9"}, "auth", None),
        (402, {}, "no_credits", None),
        (402, {"Retry-After": "9"}, "no_credits", seconds(9)),
        (403, {}, "auth", None),
        (403, {"Retry-After": "soon"}, "auth", None),
        (403, {"Retry-After": "9"}, "rate_limited", seconds(9)),
        (400, {}, "invalid_input", None),
        (404, {}, "invalid_input", None),
        (409, {}, "invalid_input", None),
        (409, {"Retry-After": "9"}, "invalid_input", None),
        (422, {"Retry-After": "9"}, "invalid_input", None),
        (499, {}, "invalid_input", None),
        (300, {}, "invalid_input", None),
        (307, {}, "invalid_input", None),
        (999, {}, "bad_reply", None),
    ],
)
def test_each_status_has_its_code(
    status: int, headers: dict[str, str], code: str, wait: timedelta | None
) -> None:
    error = error_of(status, headers, NOW)
    assert (error.code, error.retry_after) == (code, wait)
    assert error.outage is (code == "vendor_error")
    assert error.permanent is (code == "invalid_input")
    assert error.outcome_known is (code != "bad_reply")
    assert f"status {status}" in error.message
    assert error.message.endswith(".")
