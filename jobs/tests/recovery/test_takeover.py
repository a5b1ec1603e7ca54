"""Who is dead, also when Redis has forgotten that he lived."""

import pytest

from jobs.models import Job, Status
from jobs.queue.heartbeat import HEARTBEAT_TIMEOUT_SECONDS, Heartbeat
from jobs.queue.keys import HEARTBEATS
from jobs.recovery.rebuild import rebuild
from jobs.recovery.takeover import Suspects

pytestmark = pytest.mark.usefixtures("transactional_db")


def test_a_worker_that_died_before_redis_lost_its_data_is_found_dead(
    redis_client, make_vendor, make_job
):
    vendor, now = make_vendor(), Job.new().created_at
    for worker in ("dead", "alive"):
        make_job(status=Status.PROCESSING, attempt=1, worker=worker, started_at=now)
    rebuild([vendor])
    suspects = Suspects()
    redis_client.zincrby(HEARTBEATS, -1000 * (HEARTBEAT_TIMEOUT_SECONDS + 1), "dead")  # time passes
    Heartbeat("alive").send()
    assert suspects.look(0.0) == []
    assert suspects.look(2.0) == ["dead"]
