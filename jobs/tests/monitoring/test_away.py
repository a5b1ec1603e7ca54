"""What the snapshot says of workers, and while Redis or the store is away."""

import socket
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Job
from jobs.monitoring import snapshot
from jobs.monitoring.facts import VendorState
from jobs.queue.keys import HEARTBEATS, WORKERS, Keys
from jobs.queue.redis import hints
from jobs.queue.workers import KEPT_SECONDS, forget_old
from jobs.tests.monitoring import faults
from jobs.tests.monitoring.looking import line, now
from tests.plans import assert_quick, reads_of
from vendors.catalogue import catalogue

pytestmark = pytest.mark.django_db


@pytest.mark.sqlite
def test_workers_say_where_they_run_and_which_version(stage):
    stage.heartbeat("w1", version="1.0", started_at=1000, busy=3, per_minute=90)
    stage.heartbeat("w2", version="1.1", started_at=2000, state="draining")
    first, second = now().workers
    assert (first.host, first.threads, first.busy, first.per_minute) == ("h1", 4, 3, 90)
    assert (first.is_other_version, second.is_other_version) == (True, False)
    assert (first.state, second.state) == ("alive", "draining")


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "report",
    ["[]", "null", "x", '{"started_at":"z","version":5}', '{"started_at":1e30}', '{"only":5}'],
)
def test_a_worker_that_cannot_be_read_does_not_hide_the_others(stage, report):
    stage.redis.hset(WORKERS, "other-1-x", f"{stage.redis.time()[0]}000 {report}")
    stage.redis.hset(WORKERS, "junk", report)
    found = {each.name: each.version for each in now().workers}
    assert found == {"w1": "1.0", "other-1-x": "unreadable"}


@pytest.mark.sqlite
def test_while_all_workers_are_drained_nobody_calls_a_vendor(stage):
    stage.heartbeat("w1", state="draining")
    [problem] = now().problems
    assert problem.rule == "no_worker"
    assert problem.sentence.startswith("All workers are drained: they take nothing.")
    assert line().state == VendorState.NO_WORKER
    stage.heartbeat("w1")
    assert line().state == VendorState.RUNNING


@pytest.mark.sqlite
def test_a_worker_that_was_taken_over_stays_for_an_hour(stage):
    stage.heartbeat("gone")
    stage.redis.zrem(HEARTBEATS, "gone")
    figures = now().figures
    assert [(each.name, each.state) for each in now().workers] == [
        ("w1", "alive"),
        ("gone", "silent"),
    ]
    assert (figures.workers_alive, figures.workers_seen) == (1, 2)
    ms, _, report = stage.redis.hget(WORKERS, "gone").partition(" ")
    stage.redis.hset(WORKERS, "gone", f"{int(ms) - int(KEPT_SECONDS * 1000) - 1} {report}")
    assert [each.name for each in now().workers] == ["w1"]
    forget_old(stage.redis)
    assert stage.redis.hkeys(WORKERS) == ["w1"]


def test_without_redis_jobs_are_counted_from_rows_by_an_index(stage, make_job):
    for minutes, status in ((30, "queued"), (2, "queued"), (5, "processing"), (5, "waiting")):
        job = make_job(status=status)
        at = timezone.now() - timedelta(minutes=minutes)
        Job.objects.filter(pk=job.pk).update(queued_at=at)
    faults.redis_away(stage)
    with reads_of("jobs_job") as reads:
        found = line()
    assert (found.waiting, found.in_flight) == (2, 2)
    assert found.oldest_seconds == pytest.approx(1800, abs=30)
    assert_quick(reads, finds=True)


@pytest.mark.sqlite
def test_while_redis_hangs_the_snapshot_comes_within_two_seconds(stage, settings, tmp_path):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        settings.REDIS_URL = f"unix://{tmp_path}/silent.sock"
        hints.cache_clear()
        began_at = time.monotonic()
        found = now()
    assert time.monotonic() - began_at < 2
    assert not found.redis_answers
    assert found.figures.workers_alive is None


@pytest.mark.sqlite
def test_while_the_store_is_away_vendors_are_those_known_last(stage):
    stage.queue("a")
    now()
    faults.store_away(stage)
    found = now()
    assert (found.store_answers, found.redis_answers) == (False, True)
    assert [(each.slug, each.waiting) for each in found.vendors] == [("acme", 1)]


@pytest.mark.sqlite
def test_a_problem_says_since_when(stage, settings):
    url = settings.REDIS_URL
    faults.redis_away(stage)
    first, second = (now().problems[0].since for _ in range(2))
    assert first == second == snapshot.current().redis_away_since
    settings.REDIS_URL = url
    hints.cache_clear()
    assert now().redis_away_since is None
    seconds, _ = stage.redis.time()
    stage.redis.zadd(HEARTBEATS, {"w1": (seconds - 60) * 1000})
    [no_worker] = now().problems
    ago = timezone.now() - no_worker.since
    assert timedelta(seconds=55) < ago < timedelta(seconds=90)


@pytest.mark.sqlite
def test_what_was_never_read_is_not_shown_as_zero(stage):
    faults.store_away(stage)
    catalogue.__init__()
    figures = now().figures
    assert (figures.waiting, figures.oldest_seconds, figures.errors_hour) == (None, None, None)
    assert (figures.done_per_minute, figures.workers_alive) == (None, 1)


@pytest.mark.sqlite
def test_a_key_of_the_wrong_type_in_redis_is_no_end_of_the_page(stage):
    stage.redis.delete(Keys("acme").state)
    stage.redis.set(Keys("acme").log, "a string")
    assert now().vendors[0].slug == "acme"
