"""Dead workers are detected, even after Redis has lost their heartbeats."""

import pytest

from jobs.models import Job, Status
from jobs.queue.heartbeat import HEARTBEAT_TIMEOUT_SECONDS, Heartbeat
from jobs.queue.keys import HEARTBEATS
from jobs.recovery.rebuild import rebuild
from jobs.recovery.takeover import FailureDetector

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_a_worker_that_died_before_redis_lost_its_data_is_detected(
    redis_client, make_vendor, make_job
):
    vendor, now = make_vendor(), Job.new().created_at
    for worker in ("dead", "alive"):
        make_job(status=Status.PROCESSING, attempt=1, worker=worker, started_at=now)
    rebuild([vendor])
    detector = FailureDetector()
    redis_client.zincrby(HEARTBEATS, -1000 * (HEARTBEAT_TIMEOUT_SECONDS + 1), "dead")  # time passes
    Heartbeat("alive").send()
    assert detector.check(0.0) == []
    assert detector.check(2.0) == ["dead"]
