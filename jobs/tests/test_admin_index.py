"""The first page of the console shows each vendor at a glance, and comes quickly without Redis."""

import re
import socket
import time

import pytest

from jobs.keys import Keys
from jobs.models import Stream
from jobs.redis import hints
from jobs.stream import add
from jobs.tests.console import sign_in, text

pytestmark = pytest.mark.django_db


def test_each_vendor_shows_its_stream_and_its_jobs_in_flight(make_vendor, redis_client):
    make_vendor("acme"), make_vendor("globex", enabled=False, paused=True)
    add("acme", ["a", "b"], Stream.JOBS, redis_client), add("acme", ["c"], Stream.AGAIN, redis_client)
    redis_client.zadd(Keys("globex").flight, {"d": 1, "e": 2})
    told = text(sign_in("view_vendor", "view_job").get("/admin/"))
    assert "acme running 3 0 failed" in told
    assert "globex paused, disabled 0 2 failed" in told


def test_redis_away_is_said_and_does_not_hold_the_page(make_vendor, settings, tmp_path):
    make_vendor("acme")
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "silent.sock"))
    silent.listen()
    settings.REDIS_URL = f"unix://{tmp_path}/silent.sock"
    hints.cache_clear()
    browser, begun = sign_in("view_vendor"), time.monotonic()
    told = text(browser.get("/admin/"))
    assert time.monotonic() - begun < 2
    assert "Redis does not answer." in told
    assert "acme running ? ?" in told
    silent.close()


def test_who_may_not_see_vendors_sees_none(make_vendor, redis_client):
    make_vendor("acme")
    told = text(sign_in("view_job").get("/admin/"))
    assert "EnrichLabs" in told
    assert "acme" not in told


def test_without_vendors_there_is_nothing_at_a_glance(redis_client):
    assert "At a glance" not in text(sign_in("view_vendor").get("/admin/"))


def test_the_console_brings_no_script_of_its_own_and_asks_no_other_host(make_vendor, make_job, redis_client):
    browser = sign_in("view_vendor", "view_job", "retry_job", "change_vendor")
    job, vendor = make_job(status="failed"), make_vendor("acme")
    paths = ["", "jobs/job/", f"jobs/job/{job.pk}/change/", f"jobs/job/{job.pk}/retry/", f"vendors/vendor/{vendor.pk}/change/"]
    for path in paths:
        page = browser.get(f"/admin/{path}").content.decode()
        assert not [part for part in page.split("<script")[1:] if "src=" not in part.split(">")[0]]
        assert not re.findall(r"""(?:src|href|action)=["']\w*:?//""", page)
        assert "jobs/console.css" in page


def test_the_style_is_served(client):
    assert "badge-failed" in b"".join(client.get("/static/jobs/console.css").streaming_content).decode()
