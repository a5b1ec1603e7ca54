"""A vendor that enforces its own rate limit refuses no call, whichever way it counts."""

from collections.abc import Iterator

import pytest

from harness.vendor.strict import StrictVendor, aligned, bucket, fixed, sliding
from jobs.models import Attempt
from tests.conftest import wait_until_final

pytestmark = pytest.mark.about_redis

LIMIT = 20
# Wide enough for a busy machine; loadtest/strict.py measures the default.
MARGIN_MS = 500


@pytest.fixture
def strict_vendor() -> Iterator[StrictVendor]:
    server = StrictVendor(LIMIT, jitter_seconds=0.03)
    yield server
    server.stop()


def test_two_workers_never_exceed_the_vendors_limit(
    make_vendor, start_worker, submit, strict_vendor
):
    make_vendor(url=strict_vendor.url, rate_limits=f"{LIMIT}/s", arrival_margin_ms=MARGIN_MS)
    submit(3 * LIMIT)
    start_worker()
    start_worker("--drain")
    wait_until_final()
    assert len(strict_vendor.arrivals) == 3 * LIMIT
    assert not strict_vendor.refusals
    assert not Attempt.objects.exclude(outcome="found").exists()


@pytest.mark.parametrize(
    ("judge", "arrivals", "refused"),
    [
        (sliding, [0, 0.5, 0.9, 1.0, 1.4], [0.9, 1.4]),
        (fixed, [0.5, 0.6, 1.4, 1.5, 1.6], [1.4]),
        (aligned, [0.5, 0.6, 0.9, 1.0, 1.1, 1.2], [0.9, 1.2]),
        (bucket, [0, 0, 0.4, 0.5, 1.0], [0.4]),
    ],
)
def test_each_counter_refuses_calls_over_its_limit(judge, arrivals, refused):
    lets_in = judge(2, 1)
    assert [at for at in arrivals if not lets_in(100 + at)] == refused
