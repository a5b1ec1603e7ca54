from datetime import UTC, datetime, timedelta

import pytest

from vendors.http.statuses import error_of

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@pytest.mark.parametrize(
    ("status", "headers", "code", "wait"),
    [
        (429, {}, "rate_limited", None),
        (429, {"Retry-After": "soon"}, "rate_limited", None),
        (429, {"Retry-After": "9"}, "rate_limited", seconds(9)),
        (429, {"X-RateLimit-Reset": "9"}, "rate_limited", seconds(9)),
        (503, {"Retry-After": "9"}, "rate_limited", seconds(9)),
        (503, {"X-RateLimit-Reset": "9"}, "vendor_error", None),
        (503, {"Retry-After": "soon"}, "vendor_error", None),
        (503, {}, "vendor_error", None),
        (500, {"Retry-After": "9"}, "vendor_error", None),
        (599, {}, "vendor_error", None),
        (408, {}, "vendor_error", None),
        (425, {}, "vendor_error", None),
        (401, {}, "auth", None),
        (401, {"Retry-After": "9"}, "auth", None),
        (402, {}, "no_credits", None),
        (402, {"Retry-After": "86400"}, "no_credits", seconds(86400)),
        (402, {"X-RateLimit-Reset": "9"}, "no_credits", None),
        (403, {"X-RateLimit-Reset": "9", "X-RateLimit-Remaining": "0"}, "auth", None),
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
