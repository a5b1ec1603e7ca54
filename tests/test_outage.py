"""A vendor hangs or is down: its neighbours do not notice, its jobs wait, and it is called again
with care.
"""

import threading
from datetime import timedelta

import pytest

from harness.vendor_server import Answer, VendorServer
from harness.waiting import wait_for
from jobs.models import Job, Status
from jobs.queue import limiter
from jobs.queue.heartbeat import Heartbeat
from jobs.queue.keys import Keys
from jobs.queue.take import take
from jobs.recovery import sweep, takeover
from jobs.worker.claim import Starter
from jobs.worker.execute import Ended
from jobs.worker.held_entries import Hands
from jobs.worker.record import Recorder
from tests.conftest import statuses, wait_until_final
from vendors.base import Done, VendorError

DOWN = VendorError(
    "vendor_error", "The vendor failed to answer the call (status 503).", outage=True
)
GATE = Keys("acme").state


@pytest.fixture(autouse=True)
def acme(make_vendor, vendor_server, transactional_db):
    return make_vendor(url=vendor_server.url)


class Watched:
    """Answers for a vendor server after 50 ms; notes at each arrival how many are under way, how
    many answered.
    """

    def __init__(self, status):
        self.status = status
        self._under_way = 0
        self._lock = threading.Lock()
        self.forget()

    def forget(self):
        self.levels, self._answered = [], 0

    def __call__(self, arrival):
        with self._lock:
            self._under_way += 1
            self.levels.append((self._under_way, self._answered))
        threading.Event().wait(0.05)
        with self._lock:
            self._under_way -= 1
            self._answered += 1
        return Answer(self.status, {"ok": True})


@pytest.fixture
def outage(vendor_server, start_worker, submit, redis_client):
    """Three workers, and a vendor with 60 jobs whose breaker has opened; only probes are to come."""
    vendor_server.answer = watched = Watched(503)
    submit(60)
    start_worker("--processes", "3")
    wait_for(
        lambda: redis_client.hexists(GATE, "open_until") and "processing" not in statuses(),
        "the breaker to open",
    )
    watched.forget()
    return watched


@pytest.fixture
def neighbour(make_vendor):
    server = VendorServer()
    make_vendor("quick", url=server.url)
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_vendor_that_hangs_holds_up_no_other(
    processes, vendor_server, neighbour, start_worker, submit
):
    vendor_server.hold.clear()
    submit(60)
    start_worker("--processes", str(processes))
    wait_for(
        lambda: len(vendor_server.arrivals) == 22 * processes, "calls to hang wherever they may"
    )
    jobs = submit(40, vendor="quick")
    wait_for(
        lambda: Job.objects.filter(vendor="quick", status=Status.COMPLETE).count() == 40,
        "its neighbour's jobs",
        10,
    )
    started = dict(Job.objects.filter(vendor="quick").values_list("pk", "started_at"))
    assert [job.pk for job in jobs] == sorted(started, key=lambda pk: (started[pk], pk))
    assert len(vendor_server.arrivals) == 22 * processes


def test_a_vendor_that_is_down_is_called_by_one_probe_at_a_time(outage, redis_client):
    for probes in (1, 2, 3):
        redis_client.hset(GATE, "opened", 0)  # the next pause is a short one again
        wait_for(lambda probes=probes: len(outage.levels) >= probes, "the next probe")
    assert {under_way for under_way, _ in outage.levels} == {1}
    assert set(statuses()) <= {"queued", "processing"}
    assert sum(Job.objects.values_list("failures", flat=True)) <= 4


def test_after_an_outage_calls_grow_from_one_by_one_for_each_answer(outage):
    outage.status = 200
    wait_until_final()
    assert statuses() == ["complete"] * 60
    assert all(under_way <= max(1, answered) for under_way, answered in outage.levels)
    assert max(outage.levels)[0] > 1


# From here on without processes, so that no pause need be waited out.


@pytest.fixture
def queued(submit, redis_client):
    limiter.rebuild("acme", [], [], [])
    submit(1)


def end_all_pauses(redis_client):
    Job.objects.exclude(not_before=None).update(not_before=Job().created_at - timedelta(minutes=1))
    sweep.enqueue_due_retries()
    if redis_client.hexists(GATE, "open_until"):
        redis_client.hset(GATE, "open_until", 1)


def call(answer, vendor):
    """Do what a worker does, with this answer; returns how many jobs were called."""
    started = Starter("w", Hands("w", Heartbeat("w"))).start([take(vendor, "w", 10)])
    Recorder(Hands("w", Heartbeat("w")).settle).record([Ended(one, answer) for one in started])
    return len(started)


@pytest.mark.parametrize("max_attempts", [2, 100])
def test_a_single_job_survives_an_outage_of_any_length(queued, redis_client, acme, max_attempts):
    acme.max_attempts = max_attempts
    for _ in range(12):
        end_all_pauses(redis_client)
        assert call(DOWN, acme) == 1
    end_all_pauses(redis_client)
    call(Done({}), acme)
    job = Job.objects.get()
    assert (job.status, job.attempt) == ("complete", 13)
    assert job.failures == min(4, max_attempts - 1)


@pytest.mark.parametrize("max_attempts", [2, 6])
def test_a_job_survives_that_redis_is_flushed_in_the_outage_again_and_again(
    queued, redis_client, acme, max_attempts
):
    acme.max_attempts = max_attempts
    for _ in range(12):
        redis_client.flushall()
        limiter.rebuild("acme", [], [], [])
        Job.objects.filter(not_before=None).update(
            not_before=Job().created_at
        )  # in place of the sweep for lost entries
        end_all_pauses(redis_client)
        assert call(DOWN, acme) == 1
    assert (Job.objects.get().status, Job.objects.get().attempt) == ("queued", 12)


def call_while_redis_goes_away(answer, vendor, valkey):
    started = Starter("w", Hands("w", Heartbeat("w"))).start([take(vendor, "w", 1)])
    valkey.kill()
    try:
        Recorder(Hands("w", Heartbeat("w")).settle).record([Ended(one, answer) for one in started])
    finally:
        valkey.start()


def test_a_failure_is_not_counted_while_redis_cannot_say_whether_the_vendor_is_down(
    queued, valkey, acme
):
    acme.max_attempts = 1
    call_while_redis_goes_away(DOWN, acme, valkey)
    assert (Job.objects.get().status, Job.objects.get().failures) == ("queued", 0)


def test_a_vendor_that_asks_for_a_pause_gets_it_though_redis_is_away(queued, valkey, acme):
    call_while_redis_goes_away(
        VendorError("vendor_throttled", "", retry_after=timedelta(hours=1)), acme, valkey
    )
    acme.refresh_from_db()
    assert acme.is_paused(Job().created_at + timedelta(minutes=50))


def test_what_fails_late_beside_a_good_probe_is_not_counted(queued, submit, redis_client, acme):
    acme.max_attempts = 1
    starter = Starter("w", Hands("w", Heartbeat("w")))
    recorder = Recorder(Hands("w", Heartbeat("w")).settle)
    late = starter.start([take(acme, "w", 1)])
    redis_client.hset(GATE, mapping={"open_until": 1, "opened": 1})
    submit(1)
    probe = starter.start([take(acme, "w", 1)])
    recorder.record([*[Ended(one, Done({})) for one in probe], *[Ended(one, DOWN) for one in late]])
    assert statuses() == ["complete", "queued"]
    assert not redis_client.hexists(GATE, "open_until")


def test_the_outage_ends_although_the_worker_with_the_probe_died(queued, redis_client, acme):
    redis_client.hset(GATE, mapping={"open_until": 1, "opened": 1})
    [probe] = Starter("dead", Hands("dead", Heartbeat("dead"))).start([take(acme, "dead", 1)])
    assert probe.probe
    assert takeover.take_over("dead")
    redis_client.hset(GATE, "probe_until", 1)  # its life is over
    assert call(Done({}), acme) == 1
    assert (statuses(), redis_client.hexists(GATE, "open_until")) == (["complete"], False)
