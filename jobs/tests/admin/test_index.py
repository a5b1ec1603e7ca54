"""The front page of the console shows each vendor at a glance, and is fast without Redis."""

import re
import socket
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Stream
from jobs.queue.health import breaker
from jobs.queue.health.breaker import Report
from jobs.queue.keys import GROUP, HEARTBEATS, Keys
from jobs.queue.redis import hints
from jobs.queue.stream import add
from jobs.tests.console import sign_in, text
from tests.plans import assert_quick, reads_of

pytestmark = pytest.mark.django_db


def heartbeat(client, worker, seconds_ago=0.0):
    seconds, microseconds = client.time()
    client.zadd(HEARTBEATS, {worker: (seconds - seconds_ago) * 1000 + microseconds / 1000})


def test_each_vendor_shows_its_jobs(make_vendor, make_job, redis_client):
    make_vendor("acme"), make_vendor("globex", enabled=False, paused=True)
    heartbeat(redis_client, "host-1-well")
    (
        add("acme", ["a", "b", "called"], Stream.JOBS, redis_client),
        add("acme", ["c"], Stream.RETRIES, redis_client),
    )
    redis_client.xgroup_create(Keys("acme").jobs, GROUP, "0")
    redis_client.xreadgroup(GROUP, "w", {Keys("acme").jobs: ">"}, count=1)
    redis_client.zadd(Keys("acme").in_flight, {"called": 1})
    make_job(not_before=timezone.now() + timedelta(hours=1))
    redis_client.zadd(Keys("globex").in_flight, {"d": 1, "e": 2})
    page_text = text(sign_in("view_vendor", "view_job").get("/admin/"))
    assert "acme running 4 1 0 failed" in page_text, (
        "one of the queued waits for its next attempt, and one is being called"
    )
    assert "globex paused, disabled 0 0 2 failed" in page_text


def test_a_vendor_that_is_down_is_shown(make_vendor, redis_client):
    vendor = make_vendor("acme", max_attempts=2)
    breaker.report(
        vendor, [Report("bad", "", f"job-{n}", started_us=1, code="vendor_error") for n in range(2)]
    )
    page_text = text(sign_in("view_vendor").get("/admin/"))
    assert re.search(
        r"acme down \(vendor_error, since \d{4}-.* UTC\): its breaker is open, next probe at \d",
        page_text,
    )


def test_without_a_worker_the_page_names_the_remedy(make_vendor, redis_client):
    make_vendor("acme"), add("acme", ["a", "b"], Stream.JOBS, redis_client)
    assert "No worker is alive. Start one: manage.py run_worker. 2 jobs wait." in text(
        sign_in("view_job").get("/admin/")
    )


def test_a_frozen_worker_is_shown_as_silent(make_vendor, redis_client):
    browser = sign_in("view_job")
    heartbeat(redis_client, "host-1-frozen", seconds_ago=100)
    page_text = text(browser.get("/admin/"))
    assert re.search(r"No worker is alive: the last one has been silent for 10\d s.", page_text)
    assert re.search(r"Worker host-1-frozen has been silent for 10\d s.", page_text)
    heartbeat(redis_client, "host-2-well")
    page_text = text(browser.get("/admin/"))
    assert "No worker is alive" not in page_text
    assert re.search(r"Worker host-1-frozen has been silent for 10\d s.", page_text)
    redis_client.zrem(HEARTBEATS, "host-1-frozen")
    assert "silent" not in text(browser.get("/admin/"))


def test_the_page_is_fast_while_redis_does_not_answer(make_vendor, settings, tmp_path):
    make_vendor("acme")
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "silent.sock"))
    silent.listen()
    settings.REDIS_URL = f"unix://{tmp_path}/silent.sock"
    hints.cache_clear()
    browser, begun = sign_in("view_vendor"), time.monotonic()
    page_text = text(browser.get("/admin/"))
    assert time.monotonic() - begun < 2
    assert "Redis does not answer." in page_text
    assert "acme running ? ? ?" in page_text
    assert "No worker" not in page_text, "unknown without Redis"
    silent.close()


def test_with_permission_for_jobs_only_vendors_are_not_links(make_vendor, redis_client):
    vendor = make_vendor("acme")
    page = sign_in("view_job").get("/admin/")
    assert "acme running 0 0 0 failed" in text(page)
    assert vendor.pk not in page.content.decode()


def test_with_permission_for_callbacks_only_refused_callbacks_are_linked(make_vendor, redis_client):
    make_vendor("acme")
    page = sign_in("view_callback").get("/admin/")
    assert "/admin/jobs/callback/?verdict=refused" in page.content.decode()
    assert "acme" not in text(page)


def test_without_permissions_nothing_is_shown(make_vendor, redis_client):
    make_vendor("acme")
    page_text = text(sign_in().get("/admin/"))
    assert "You don’t have permission to view or edit anything." in page_text
    assert "acme" not in page_text
    assert "worker" not in page_text


def test_only_the_first_of_many_vendors_are_shown(make_vendor, redis_client, monkeypatch):
    monkeypatch.setattr("jobs.templatetags.console.MAX_VENDORS", 1)
    make_vendor("acme"), make_vendor("globex")
    page_text = text(sign_in("view_vendor").get("/admin/"))
    assert "acme running" in page_text
    assert "globex" not in page_text
    assert "and 1 more" in page_text


def test_jobs_waiting_for_their_next_attempt_are_counted_by_an_index(
    make_vendor, make_job, redis_client
):
    make_vendor(), make_job(not_before=timezone.now()), make_job()
    browser = sign_in("view_job")
    with reads_of("jobs_") as reads:
        assert "acme running 1 0 0" in text(browser.get("/admin/"))
    assert_quick(reads, finds=True)


def test_the_console_has_no_inline_scripts_and_loads_nothing_from_other_hosts(
    make_vendor, make_job, redis_client
):
    browser = sign_in("view_vendor", "view_job", "retry_job", "change_vendor")
    job, vendor = make_job(status="failed"), make_vendor("acme")
    paths = [
        "",
        "jobs/job/",
        f"jobs/job/{job.pk}/change/",
        f"jobs/job/{job.pk}/retry/",
        f"vendors/vendor/{vendor.pk}/change/",
    ]
    for path in paths:
        page = browser.get(f"/admin/{path}").content.decode()
        assert not [part for part in page.split("<script")[1:] if "src=" not in part.split(">")[0]]
        assert not re.findall(r"""(?:src|href|action)=["']\w*:?//""", page)
        assert "jobs/console.css" in page


def test_the_stylesheet_is_served(client):
    assert (
        "badge-failed"
        in b"".join(client.get("/static/jobs/console.css").streaming_content).decode()
    )


def test_number_fields_are_wide_enough_for_their_values(client):
    style = b"".join(client.get("/static/jobs/console.css").streaming_content).decode()
    assert 'input[type="number"], .vIntegerField { width: 9rem; }' in style
