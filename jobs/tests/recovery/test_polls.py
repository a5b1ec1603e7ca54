"""The sweep adds entries for due polls, and the limiter's rebuild counts polls under way."""

from datetime import timedelta

import pytest

from jobs import lifecycle
from jobs.models import Attempt, Job
from jobs.queue import limiter, stream
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys
from jobs.recovery import polls, sweep
from jobs.recovery.polls import UnpolledJobs, UnreadStreams, add_due_polls, max_in_line, stop_polls
from jobs.recovery.rebuild import rebuild
from jobs.tests.polling import MINUTE, POLLED, PollingWorker, Scripted, row, waiting
from tests.plans import assert_quick, reads_of
from vendors import pauses
from vendors.base import Done
from vendors.catalogue import catalogue
from vendors.models import Credential, CredentialKey, Limit, Vendor

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")

LEASE = polls.ENTRY_LEASE
ONE, TWO, RETIRED = "VENDOR_ACME_1", "VENDOR_ACME_2", "VENDOR_ACME_0"


@pytest.fixture
def acme(make_vendor):
    return make_vendor(definition=POLLED)


@pytest.fixture
def pooled(make_vendor, monkeypatch):
    """A vendor with two keys and a retired one."""
    for name in (ONE, TWO, RETIRED):
        monkeypatch.setenv(name, f"value of {name}")
    keys = {"header": "X-Key", "keys_env": [ONE, TWO], "retired_env": [RETIRED]}
    Credential.objects.create(slug="pool", definition=keys)
    return make_vendor(definition={**POLLED, "credential": "pool"})


def in_line(slug="acme", key=""):
    return [job_id for job_id, _ in stream.polls_in_line(slug, 1000, credential=key)]


def age(seconds):
    """Let that much time pass for all jobs."""
    for job in Job.objects.exclude(next_poll_at=None):
        at = job.next_poll_at - timedelta(seconds=seconds)
        Job.objects.filter(pk=job.pk).update(next_poll_at=at)


def test_due_polls_are_added_once_a_lease_oldest_first(acme, make_job):
    second, first = waiting(make_job, due=-MINUTE), waiting(make_job, due=-2 * MINUTE)
    later = waiting(make_job, due=MINUTE)
    assert (add_due_polls(), add_due_polls()) == (2, 0)
    assert in_line() == [first.pk, second.pk]
    leased = row(first).next_poll_at
    assert LEASE - timedelta(seconds=5) < leased - redis_clock.now() <= LEASE
    assert stream.polls_in_line("acme", 1) == [(first.pk, str(limiter.microseconds(leased)))]
    assert row(later).next_poll_at > redis_clock.now() + LEASE


def test_a_poll_whose_entry_redis_lost_is_due_when_the_lease_ends(acme, make_job, redis_client):
    job = waiting(make_job)
    add_due_polls()
    redis_client.flushall()
    assert add_due_polls() == 0
    age(LEASE.total_seconds() + 1)
    assert (add_due_polls(), in_line()) == (1, [job.pk])


def test_a_poll_that_waits_in_line_beyond_its_lease_keeps_its_place(acme, make_job, monkeypatch):
    monkeypatch.setattr(catalogue, "adapter", lambda _: Scripted(Done({"a": 1})))
    job = waiting(make_job)
    add_due_polls()
    [(_, due)] = stream.polls_in_line("acme", 10)
    at = redis_clock.now
    monkeypatch.setattr(redis_clock, "now", lambda: at() + 2 * LEASE)
    assert add_due_polls() == 0
    assert stream.polls_in_line("acme", 10) == [(job.pk, due)]
    assert len(PollingWorker().poll()) == 1
    assert row(job).status == "complete"


@pytest.mark.parametrize(
    ("limits", "number"), [("", 1000), ("1/min", 10), ("1/s, 100/min", 29), ("600/5min", 600)]
)
@pytest.mark.sqlite
def test_only_as_many_are_in_line_as_the_windows_permit_within_a_lease(limits, number):
    assert max_in_line(Vendor(rate_limits=limits)) == number


@pytest.mark.parametrize(
    ("limit", "weight", "number"),
    [
        ({"windows": "300/min"}, 5, 60),
        ({"windows": "300/min", "per": "credential"}, 5, 60),
        ({"quota": {"calls": 100, "period": "day"}}, 2, 50),
        ({"windows": "1/min"}, 0, 1000),
    ],
)
@pytest.mark.sqlite
def test_shared_limits_count_too(make_vendor, limit, weight, number):
    Limit.objects.create(slug="team", definition=limit)
    poll = {**POLLED["poll"], "weight": weight}
    vendor = make_vendor(definition={"poll": poll, "limits": ["team"]}, rate_limits="9000/min")
    assert max_in_line(vendor, ONE) == number


def test_a_job_waits_in_the_stream_of_the_key_it_was_called_with(pooled, make_job):
    keys = ("", ONE, TWO, RETIRED)
    jobs = [
        waiting(make_job, credential=key, due=-number * MINUTE) for number, key in enumerate(keys)
    ]
    assert (add_due_polls(), add_due_polls()) == (4, 0)
    assert in_line(key=ONE) == [jobs[0].pk, jobs[1].pk]
    assert (in_line(key=TWO), in_line(key=RETIRED)) == ([jobs[2].pk], [jobs[3].pk])
    assert in_line() == []


@pytest.mark.sqlite
def test_jobs_that_were_called_with_what_a_token_replaced_are_polled_with_the_token(
    pooled, make_job
):
    oauth2 = {"token_url": "https://a.test/", "id_env": ONE, "secret_env": TWO}
    definition = {"oauth2": oauth2, "retired_env": [RETIRED]}
    Credential.objects.update(definition=definition)
    catalogue.forget()
    job = waiting(make_job, credential=RETIRED)
    assert (add_due_polls(), in_line(key=TWO)) == (1, [job.pk])


@pytest.mark.sqlite
@pytest.mark.parametrize(("reason", "number"), [(pauses.DENIED, 0), (pauses.UNPAID, 1)])
def test_polls_of_a_key_that_is_denied_wait_in_the_rows(pooled, make_job, reason, number):
    CredentialKey.objects.create(credential="pool", name=ONE, paused=True, pause_reason=reason)
    catalogue.forget()
    waiting(make_job, credential=ONE)
    assert add_due_polls() == number


@pytest.mark.sqlite
def test_polls_are_added_by_a_worker_that_lacks_the_key_for_one_that_has_it(
    pooled, make_job, monkeypatch
):
    job = waiting(make_job, credential=TWO)
    monkeypatch.delenv(TWO)
    assert (add_due_polls(), in_line(key=TWO)) == (1, [job.pk])


def test_a_job_whose_key_is_in_no_list_is_left_to_its_deadline(pooled, make_job, caplog):
    job, other = waiting(make_job, credential="VENDOR_GONE"), waiting(make_job, credential=RETIRED)
    assert (add_due_polls(), stop_polls(), stop_polls()) == (1, 1, 0)
    assert (row(job).next_poll_at, row(other).next_poll_at is None) == (None, False)
    assert "it has no key VENDOR_GONE" in caplog.text
    assert UnpolledJobs().step() == 0


@pytest.mark.about_redis
def test_streams_of_polls_are_deleted_once_nobody_reads_them(
    pooled, make_vendor, make_job, redis_client, monkeypatch
):
    make_vendor("other", definition=POLLED)
    for slug in ("acme", "other", "gone"):
        stream.add_polls(slug, [("job", 1)])
    for key in (ONE, RETIRED):
        stream.add_polls("acme", [("job", 1)], credential=key)
    Credential.objects.update(definition={"header": "X-Key", "keys_env": [ONE]})
    catalogue.forget()
    monkeypatch.setattr(polls, "CHUNK", 2)
    unread = UnreadStreams()
    for _ in range(30):
        unread.step()
    acme, others = Keys("acme"), {Keys("other").polls, Keys("gone").polls}
    assert {*redis_client.scan_iter("*polls*")} == {acme.polls_of(ONE), *others}


def test_a_backlog_of_polls_waits_in_the_rows(make_vendor, make_job):
    make_vendor(definition=POLLED, rate_limits="1/min")
    make_vendor("other", definition=POLLED)
    for number in range(15):
        waiting(make_job, due=-(2 + number) * MINUTE)
    other = waiting(make_job, vendor="other")
    assert (add_due_polls(), add_due_polls()) == (11, 0)
    assert (len(in_line()), in_line("other")) == (10, [other.pk])
    assert len(PollingWorker().claim()) == 1
    assert add_due_polls() == 1


def test_polls_of_a_paused_vendor_wait_in_the_rows(make_vendor, make_job):
    make_vendor(definition=POLLED, paused=True)
    waiting(make_job)
    assert (add_due_polls(), in_line()) == (0, [])


def test_a_vendor_that_is_not_polled_any_more_leaves_its_jobs_to_their_deadlines(
    acme, make_vendor, make_job
):
    make_vendor("other", definition=POLLED)
    job, other = waiting(make_job), waiting(make_job, vendor="other")
    Vendor.objects.filter(slug="acme").update(definition={})
    catalogue.forget()
    assert stop_polls() == 1
    assert row(job).next_poll_at is None
    assert row(other).next_poll_at is not None


def test_jobs_that_wait_are_polled_once_their_vendor_is(acme, make_job, monkeypatch):
    monkeypatch.setattr(polls, "CHUNK", 2)
    jobs = [waiting(make_job, due=MINUTE) for _ in range(5)]
    overdue = waiting(make_job, deadline=-MINUTE)
    Vendor.objects.filter(slug="acme").update(definition={})
    catalogue.forget()
    while stop_polls():
        pass
    Vendor.objects.filter(slug="acme").update(definition=POLLED)
    catalogue.forget()
    unpolled = UnpolledJobs()
    while unpolled.step():
        pass
    add_due_polls()
    assert set(in_line()) == {job.pk for job in jobs}
    assert row(overdue).next_poll_at is None


@pytest.mark.sqlite
def test_a_job_without_the_reference_that_its_poll_names_still_waits_for_its_callback(
    make_vendor, make_job
):
    poll = {"reference": "body.id", "poll": {"url": "GET http://127.0.0.1:9/{ref}"}}
    make_vendor(adapter="http", url="POST http://127.0.0.1:9/", definition={**poll, "callback": {}})
    job, named = [waiting(make_job, vendor_reference=ref) for ref in ("", "ref-1")]
    Job.objects.update(next_poll_at=None)
    UnpolledJobs().step()
    assert (row(job).next_poll_at, row(named).next_poll_at is None) == (None, False)


def test_the_steps_use_the_index_in_its_order(acme, make_job):
    waiting(make_job)
    with reads_of("jobs_job") as reads:
        add_due_polls()
        stop_polls()
        UnpolledJobs().step()
    assert_quick(reads, finds=False)


@pytest.mark.sqlite
def test_a_gateway_without_polls_reads_no_job(make_vendor, redis_client):
    make_vendor()
    with reads_of("jobs_job") as reads:
        add_due_polls()
    assert reads == []


def test_the_sweep_polls(acme, make_job):
    job = waiting(make_job)
    sweep.Sweeper("w").sweep(now=100.0)
    assert in_line() == [job.pk]


# The limiter


def test_a_rebuild_counts_polls_under_way_and_those_of_dead_workers(
    make_vendor, make_job, redis_client
):
    vendor = make_vendor(definition=POLLED, rate_limits="10/min")
    job = waiting(make_job)
    now = redis_clock.now()
    for outcome, seconds in [
        ("unknown", 10),
        ("unknown", 75),  # its permit may have been renewed for a minute
        ("unknown", 600),
        ("pending", 20),
        ("pending", 75),
    ]:
        poll = lifecycle.new_poll(job, vendor, "dead", now - timedelta(seconds=seconds))
        poll.outcome = outcome
        poll.save(force_insert=True)
    assert Attempt.objects.count() == 5
    redis_client.flushall()
    rebuild([vendor])
    starts = [int(start) for start in redis_client.lrange(Keys("acme").log, 0, -1)]
    assert len(starts) == 3
    recent = limiter.microseconds(now - timedelta(seconds=16))
    assert sum(start > recent for start in starts) == 2
