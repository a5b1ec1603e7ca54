"""The page of a queued job shows everything that holds it, until when, and what to do."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from harness.limits import restore_own
from jobs.models import Stream
from jobs.queue import stream
from jobs.queue.health import breaker
from jobs.queue.health.breaker import Report
from jobs.queue.heartbeat import HEARTBEAT_TIMEOUT_SECONDS
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.queue.redis import hints
from jobs.queue.take import take
from jobs.tests.console import sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"


@pytest.fixture
def shown(redis_client):
    """Return a function that returns the text of a job's page, with one live worker."""
    heartbeat(redis_client, "host-1-well")
    browser = sign_in_as_superuser()
    return lambda job: text(browser.get(f"/admin/jobs/job/{job.pk}/change/"))


def heartbeat(client, worker, seconds_ago=0.0):
    seconds, microseconds = client.time()
    client.zadd(HEARTBEATS, {worker: (seconds - seconds_ago) * 1000 + microseconds / 1000})


def queue(vendor, count=3):
    restore_own(vendor.slug, vendor.windows, [], [])
    stream.add(vendor.slug, [f"job-{n}" for n in range(count)], Stream.JOBS)


def open_breaker(vendor, probe=""):
    reports = [
        Report("bad", probe, f"job-{n}", started_us=1, code="vendor_error")
        for n in range(vendor.max_attempts)
    ]
    return breaker.report(vendor, reports)


def test_a_job_that_nothing_holds_waits_for_its_turn(shown, make_vendor, make_job):
    vendor = make_vendor()
    queue(vendor)
    take(vendor, "w", 1)
    assert re.search(
        f"queued Waiting for its turn since {TIME}. "
        "The vendor has 2 jobs queued and 1 being called.",
        shown(make_job()),
    )


def test_a_vendor_that_no_longer_exists(shown, make_job):
    assert "Its vendor no longer exists." in shown(make_job())


def test_no_worker(shown, redis_client, make_vendor, make_job):
    make_vendor()
    redis_client.delete(HEARTBEATS)
    assert "No worker is alive. Start one: manage.py run_worker." in shown(make_job())
    heartbeat(redis_client, "host-1-frozen", HEARTBEAT_TIMEOUT_SECONDS + 60)
    assert re.search(
        r"No worker is alive: the last one has been silent for 6\d s.", shown(make_job())
    )


def test_no_redis(shown, make_vendor, make_job, settings):
    make_vendor()
    settings.REDIS_URL = "redis://127.0.0.1:1"
    hints.cache_clear()
    page_text = shown(make_job())
    assert (
        "Redis does not answer. Start it: jobs are accepted, and run when it is back." in page_text
    )
    assert "No worker" not in page_text


def test_a_pause(shown, make_vendor, make_job):
    since = timezone.now() - timedelta(hours=1)
    vendor = make_vendor(
        paused=True, pause_reason="It refused our key.", paused_at=since, paused_by="alice"
    )
    page_text = "The vendor is paused: It refused our key (by alice, since {}).".format(
        f"{since:%F %T} UTC"
    )
    assert page_text in shown(make_job())
    open_breaker(vendor)
    assert re.search(
        rf"{re.escape(page_text)} The vendor is down \(vendor_error, since {TIME}\)",
        shown(make_job()),
    ), "all reasons are shown"


def test_a_temporary_pause(shown, make_vendor, make_job):
    until = timezone.now() + timedelta(minutes=5)
    make_vendor(paused_until=until, pause_reason="The vendor asked us to slow down.")
    assert f"vendor is paused until {until:%F %T} UTC: The vendor asked us to slow down." in shown(
        make_job()
    )


def test_an_open_breaker(shown, redis_client, make_vendor, make_job):
    vendor, job = make_vendor(max_attempts=2), make_job()
    queue(vendor)
    open_breaker(vendor)
    down = rf"The vendor is down \(vendor_error, since ({TIME})\): its breaker is open, "
    since = re.search(f"{down}next probe at {TIME}.", shown(job))[1]
    redis_client.hset(Keys("acme").state, "open_until", 1)
    assert re.search(f"{down}the next job to start is the probe.", shown(job))
    token = take(vendor, "w", 1).probe
    assert re.search(f"{down}a probe is in progress.", shown(job))
    breaker.report(vendor, [Report("bad", token, "job-0", code="timeout")])
    page_text = re.search(
        rf"down \(timeout, since ({TIME})\): its breaker is open, next probe",
        shown(job),
    )
    assert page_text[1] == since, "a failed probe does not start a new outage"


def test_a_vendor_that_throttles_without_saying_for_how_long(shown, make_vendor, make_job):
    vendor, job = make_vendor(), make_job()
    queue(vendor)
    breaker.report(vendor, [Report("throttled", "", "job-0", started_us=1)])
    assert re.search(rf"The vendor is throttling us \(rate_limited, since {TIME}\): ", shown(job))


def test_a_closed_breaker(shown, redis_client, make_vendor, make_job):
    vendor, job = make_vendor(max_attempts=2), make_job()
    queue(vendor)
    open_breaker(vendor)
    redis_client.hset(Keys("acme").state, "open_until", 1)
    token = take(vendor, "w", 1).probe
    breaker.report(vendor, [Report("good", token, "job-0")])
    page_text = shown(job)
    assert "down" not in page_text
    take(vendor, "w", 1)
    recovering = "Held by the vendor's breaker, which lets few calls through after an outage."
    assert recovering in shown(job)
    assert not {"opened_at", "open_code"} & redis_client.hgetall(Keys("acme").state).keys()


def test_a_scheduled_retry(shown, make_vendor, make_job):
    make_vendor()
    later = timezone.now() + timedelta(minutes=5)
    assert f"The next attempt starts at {later:%F %T} UTC or later." in shown(
        make_job(not_before=later, attempt=1)
    )
    past = timezone.now() - timedelta(minutes=5)
    assert "next attempt" not in shown(make_job(not_before=past, attempt=1))


def test_a_delayed_job_that_expires(shown, make_vendor, make_job):
    make_vendor()
    later, latest = (timezone.now() + timedelta(minutes=minutes) for minutes in (5, 10))
    text = shown(make_job(not_before=later, expires_at=latest))
    assert f"The first attempt starts at {later:%F %T} UTC or later." in text
    assert f"If it is not started by {latest:%F %T} UTC, it fails as expired." in text
    assert "expired" not in shown(make_job())


def test_the_in_flight_limit(shown, redis_client, make_vendor, make_job):
    queue(make_vendor(max_in_flight=2))
    redis_client.zadd(Keys("acme").in_flight, {"a": 1, "b": 2})
    page_text = shown(make_job())
    assert "Held by max_in_flight of the vendor. The vendor has 3 jobs queued" in page_text


@pytest.mark.parametrize(("limits", "calls"), [("2/h", 2), ("1/h, 5/day", 1), ("100/s, 1/h", 1)])
def test_a_rate_limit(shown, make_vendor, make_job, limits, calls):
    vendor = make_vendor(rate_limits=limits)
    queue(vendor)
    assert len(take(vendor, "w", 5).entries) == calls
    until = r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d UTC"
    held = f"Held by the rate limits of the vendor until {until}. The vendor has"
    assert re.search(held, shown(make_job()))


def test_a_disabled_vendor_still_runs_accepted_jobs(shown, make_vendor, make_job):
    make_vendor(enabled=False)
    assert "The vendor is disabled: it accepts no new jobs, but this job will still run." in shown(
        make_job()
    )


def test_a_job_of_a_frozen_worker(shown, redis_client, make_vendor, make_job):
    make_vendor()
    heartbeat(redis_client, "host-2-frozen", 60)
    calling = {"status": "processing", "started_at": timezone.now()}
    frozen = make_job(worker="host-2-frozen", **calling)
    assert re.search(r"This worker has been silent for 6\d s: it may be frozen.", shown(frozen))
    assert "has been silent" not in shown(make_job(worker="host-1-well", **calling))
