"""With which key a vendor was called, and for how many units of which limits, is in the rows."""

from datetime import timedelta

import pytest

from harness.ports import free_port
from jobs.models import Attempt, Job, Kind, Status, Stream
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys, limit_keys
from jobs.recovery import pending, takeover
from jobs.recovery.polls import add_due_polls
from jobs.tests.polling import MINUTE, PollingWorker, Scripted, polls_of, row, waiting
from jobs.worker.execute import execute
from vendors.base import Accepted, Done, VendorError
from vendors.catalogue import catalogue
from vendors.http.deadline import this_call
from vendors.models import Credential, Limit

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")

ONE, TWO = "VENDOR_ACME_1", "VENDOR_ACME_2"
POLL = {"every": "10s", "weight": 2}


class Called(Scripted):
    """Remembers with which key each call and poll was made."""

    def __init__(self, *answers):
        super().__init__(*answers)
        self.keys = []

    def call(self, call):
        self.keys.append(call.access.key)
        return self.answers[0]

    def poll(self, call):
        self.keys.append(call.access.key)
        return super().poll(call)


@pytest.fixture
def pool(monkeypatch):
    for name in (ONE, TWO):
        monkeypatch.setenv(name, f"value of {name}")
    definition = {"header": "X-Key", "keys_env": [ONE, TWO]}
    return Credential.objects.create(slug="pool", definition=definition)


@pytest.fixture
def called(monkeypatch):
    def with_answers(*answers):
        adapter = Called(*answers)
        monkeypatch.setattr(catalogue, "adapter", lambda _: adapter)
        return adapter

    return with_answers


def queued(make_job, count):
    jobs = [make_job() for _ in range(count)]
    stream.add("acme", [job.pk for job in jobs], Stream.JOBS)
    return jobs


def charged(attempt):
    return attempt.credential, attempt.units, attempt.limits


def test_each_job_has_the_key_it_was_called_with(make_vendor, make_job, pool, called):
    """Each key permits one call now, so that two jobs of one round have different keys."""
    Limit.objects.create(slug="plan", definition={"windows": "6/min", "per": "credential"})
    Limit.objects.create(slug="team", definition={"max_in_flight": 10})
    limits = {"limits": ["plan", "team"], "credential": "pool", "weight": 3}
    make_vendor(definition={**limits, "poll": POLL}, rate_limits="1000/s")
    adapter, worker, jobs = called(Accepted("ref")), PollingWorker(), queued(make_job, 3)
    executions = worker.work()
    assert sorted(adapter.keys) == [ONE, TWO]
    assert {job.pk: job.credential for job in Job.objects.filter(status="waiting")} == {
        execution.job.pk: execution.entry.credential for execution in executions
    }
    found = sorted(map(charged, Attempt.objects.filter(kind=Kind.CALL)))
    assert found == [(ONE, 3, ",plan,team,"), (TWO, 3, ",plan,team,")]
    assert Job.objects.filter(status="queued", credential="").count() == len(jobs) - 2


def test_a_poll_is_made_with_the_key_of_its_job(make_vendor, make_job, pool, called):
    make_vendor(definition={"credential": "pool", "poll": POLL}, rate_limits="1000/s")
    adapter = called(Done({"name": "John Doe"}))
    jobs = [waiting(make_job, credential=key) for key in (TWO, "", ONE)]
    PollingWorker().poll()
    assert sorted(adapter.keys) == [ONE, ONE, TWO]
    assert [row(job).status for job in jobs] == ["complete"] * 3
    assert [charged(*polls_of(job)) for job in jobs] == [(key, 2, "") for key in (TWO, ONE, ONE)]


@pytest.mark.parametrize("lacks", ["token", "key", "vendor"])
def test_what_is_never_sent_is_charged_nothing(
    make_vendor, make_job, redis_client, monkeypatch, lacks
):
    """By a call or a poll: no token can be had, its key is gone, or the vendor can't be reached."""
    for name in (ONE, TWO):
        monkeypatch.setenv(name, "value")
    url = f"http://127.0.0.1:{free_port()}/"
    names = {"id_env": ONE, "secret_env": TWO}
    table = {"oauth2": {"token_url": url, **names}} if lacks == "token" else {"bearer_env": TWO}
    Credential.objects.create(slug="one", definition=table)
    quota = {"quota": {"calls": 10, "period": "month"}}
    Limit.objects.create(slug="plan", definition=quota)
    answer = {"result": "body", "reference": "body.id"}
    poll = {**POLL, "result": "body", "url": f"GET {url}{{ref}}"}
    definition = {"credential": "one", "limits": ["plan"], "poll": poll, **answer}
    make_vendor(adapter="http", url=f"POST {url}", definition=definition, rate_limits="1000/s")
    waiting(make_job, credential=TWO, vendor_reference="r")
    queued(make_job, 1)
    worker = PollingWorker()
    add_due_polls()
    executions = worker.claim()
    if lacks == "key":
        monkeypatch.delenv(TWO)
    for execution in executions:
        execution.charged_at -= 1  # so that the permit is late, and traded for another
        execute(execution)
    worker.finish(executions)
    code = "api_key_missing" if lacks == "key" else "vendor_unreachable"
    found = sorted(Attempt.objects.values_list("kind", "outcome", "units"))
    assert found == [("call", code, 0), ("poll", code, 0)]
    assert redis_client.llen(Keys("acme").log) == 0
    state = redis_client.hgetall(limit_keys("plan").state)
    assert [value for field, value in state.items() if field.startswith("spent:")] == ["0"]


def test_what_an_adapter_has_sent_before_it_failed_is_charged(
    make_vendor, make_job, redis_client, called
):
    adapter = called(None)
    make_vendor(rate_limits="1000/s")
    queued(make_job, 1)

    def call(_):
        this_call.has_sent = True  # as of a request that was answered
        raise VendorError("vendor_unreachable", "It refused the connection.", sent=False)

    adapter.call = call
    PollingWorker().work()
    assert [attempt.units for attempt in Attempt.objects.all()] == [1]
    assert redis_client.llen(Keys("acme").log) == 1


@pytest.mark.sqlite
def test_polls_that_a_worker_lost_track_of_are_dropped(make_vendor, make_job, pool, redis_client):
    make_vendor(definition={"credential": "pool", "poll": POLL})
    waiting(make_job, credential=TWO)
    add_due_polls()
    PollingWorker("w").take()  # and the reply is not kept
    [entry] = pending.entries_of("acme", "w")
    assert (entry.stream, entry.credential) == (Stream.POLLS, TWO)
    assert (pending.requeue("acme", "w", [entry.place]), pending.requeue("acme", "w", [])) == (0, 1)
    assert redis_client.xlen(Keys("acme").polls_of(TWO)) == 0


def test_a_poll_of_weight_0_takes_no_permit(make_vendor, make_job, called, redis_client):
    make_vendor(definition={"poll": {**POLL, "weight": 0}}, rate_limits="1/day")
    called(Done({"name": "John Doe"}))
    jobs = [waiting(make_job, due=-MINUTE) for _ in range(3)]
    PollingWorker().poll()
    assert [row(job).status for job in jobs] == ["complete"] * 3
    assert [charged(*polls_of(job)) for job in jobs] == [("", 0, "")] * 3
    assert redis_client.llen(Keys("acme").log) == 0


def test_the_attempt_of_a_dead_worker_has_its_key_too(make_vendor, make_job, pool):
    make_vendor(definition={"credential": "pool", "weight": 4})
    at = redis_clock.now() - timedelta(seconds=30)
    fields = {"attempt": 1, "started_at": at, "worker": "dead", "credential": TWO}
    job = make_job(status=Status.PROCESSING, **fields)
    takeover.take_over("dead")
    assert charged(Attempt.objects.get(job=job.pk)) == (TWO, 4, "")


def test_a_call_of_a_dead_worker_counts_in_what_its_vendor_left_meanwhile(make_vendor, make_job):
    for slug in ("left", "joined"):
        Limit.objects.create(slug=slug, definition={"windows": "100/min"})
    vendor = make_vendor(definition={"limits": ["left"], "weight": 4})
    at = redis_clock.now() - timedelta(seconds=30)
    called = {"status": Status.PROCESSING, "attempt": 1, "started_at": at, "worker": "dead"}
    make_job(**called)
    takeover.take_over("dead")  # so that a call from before the change is recorded
    job = make_job(**called)
    vendor.definition = {"limits": ["joined"]}
    vendor.save()
    catalogue.forget()
    takeover.take_over("dead")
    found = Attempt.objects.get(job=job.pk)
    assert (found.units, set(found.limits.split(","))) == (4, {"", "left", "joined"})
