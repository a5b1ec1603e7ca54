"""The front page shows what is wrong, each vendor and worker; only what its reader may see."""

import html
import re
import socket
import time

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from audit.record import Actor, record
from jobs.models import Stream
from jobs.queue.health import breaker
from jobs.queue.health.breaker import Report
from jobs.queue.keys import GROUP, HEARTBEATS, Keys
from jobs.queue.redis import hints
from jobs.queue.stream import add
from jobs.tests.console import sign_in, sign_in_as_superuser, text
from tests.plans import plan_of

pytestmark = pytest.mark.django_db
MAX_BYTES = 60_000


def heartbeat(client, worker, seconds_ago=0.0):
    seconds, microseconds = client.time()
    client.zadd(HEARTBEATS, {worker: (seconds - seconds_ago) * 1000 + microseconds / 1000})


def row_of(response, name):
    """Return the text of a row of the table of vendors or workers."""
    rows = re.findall(r"<tr.*?</tr>", response.content.decode(), flags=re.S)
    [row] = [row for row in rows if re.search(rf"<th scope=\"row\".*{name}", row)]
    return " ".join(re.sub(r"<[^>]+>", " ", row).split())


def test_each_vendor_shows_its_work(make_vendor, redis_client):
    make_vendor("acme", max_in_flight=4), make_vendor("globex", enabled=False)
    heartbeat(redis_client, "host-1-well")
    add("acme", ["a", "b", "called"], Stream.JOBS, redis_client)
    redis_client.xgroup_create(Keys("acme").jobs, GROUP, "0")
    redis_client.xreadgroup(GROUP, "w", {Keys("acme").jobs: ">"}, count=1)
    redis_client.zadd(Keys("acme").in_flight, {"called": 1})
    page = sign_in_as_superuser().get("/admin/")
    assert re.match(r"acme running 2 .* 1/4 ", row_of(page, "acme"))
    assert "host-1-well alive" in row_of(page, "host-1-well")
    assert "Disabled: globex" in text(page)
    assert "Nothing is wrong." in text(page)


def test_a_vendor_that_is_down_comes_first_with_what_helps(make_vendor, redis_client):
    make_vendor("acme")
    heartbeat(redis_client, "host-1-well")
    vendor_error = [Report("bad", "", f"job-{n}", 1, code="vendor_error") for n in range(2)]
    breaker.report(make_vendor("zeta", max_attempts=2), vendor_error)
    page = sign_in_as_superuser().get("/admin/")
    down = re.search("zeta (breaker open|probing)", text(page))
    assert down.start() < text(page).index("acme running")
    problem = re.search(r'<li class="problem.*?</li>', page.content.decode(), flags=re.S)[0]
    assert "zeta" in problem
    assert reverse("admin:vendor_close_breaker", args=["zeta"]) in problem


def test_a_vendor_is_resumed_from_the_front_page_which_comes_back(make_vendor):
    vendor = make_vendor("acme", paused=True)
    browser = sign_in_as_superuser()
    found = re.search('href="([^"]*/resume/[^"]*)"', browser.get("/admin/").content.decode())
    page = html.unescape(found[1])
    assert "Resume vendor acme?" in text(browser.get(page))
    assert browser.post(page, {"reason": "They are back."}).headers["Location"] == "/admin/"
    vendor.refresh_from_db()
    assert not vendor.paused


@pytest.mark.sqlite
def test_without_redis_the_page_is_quick_and_says_so(make_vendor, settings, tmp_path):
    make_vendor("acme")
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(tmp_path / "silent.sock"))
    silent.listen()
    settings.REDIS_URL = f"unix://{tmp_path}/silent.sock"
    hints.cache_clear()
    browser, begun = sign_in_as_superuser(), time.monotonic()
    page = browser.get("/admin/")
    assert time.monotonic() - begun < 2
    assert "Redis does not answer" in text(page)
    assert "acme not known" in row_of(page, "acme")
    assert "No worker is alive" not in text(page), "unknown without Redis"
    silent.close()


def test_without_the_store_a_page_says_what_redis_tells(redis_client, monkeypatch):
    def is_live(data):
        raise OperationalError("unable to open database file")

    heartbeat(redis_client, "host-1-well")
    browser = sign_in_as_superuser()
    browser.raise_request_exception = False
    monkeypatch.setattr("users.sessions._is_live", is_live)
    answer = browser.get("/admin/jobs/job/")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert "The store does not answer" in text(answer)
    assert "Redis answers Workers alive 1" in text(answer)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("permissions", "shown", "hidden"),
    [
        ((), ["You don’t have permission to view or edit anything"], ["acme", "worker"]),
        (("view_callback",), ["You don’t have permission"], ["acme", "Jobs"]),
        (
            ("view_job",),
            ["acme", "Jobs", "admin/errors/"],
            ["href=/admin/vendors", "Resume", "Users"],
        ),
        (("view_vendor",), ["acme", "href=/admin/vendors/vendor/"], ["Resume", "admin/errors/"]),
        (("view_vendor", "pause_vendor"), ["Resume"], ["Drain"]),
        (("view_job", "manage_workers"), ["Drain", "Stop"], ["Resume"]),
    ],
)
def test_the_reader_sees_what_the_permissions_allow(
    permissions, shown, hidden, make_vendor, redis_client
):
    make_vendor("acme", paused=True)
    heartbeat(redis_client, "host-1-well")
    page = sign_in(*permissions).get("/admin/")
    found = text(page) + page.content.decode().replace('href="', "href=")
    missing = [word for word in shown if word not in found]
    body = found.partition("<main")[0] + found.partition("</header>")[2]
    assert not missing
    assert not [word for word in hidden if word in body]


@pytest.mark.sqlite
def test_the_page_of_twenty_vendors_is_small(make_vendor, redis_client):
    for number in range(20):
        make_vendor(f"vendor-with-a-name-{number}", max_in_flight=100, rate_limits=["100/min"])
        add(f"vendor-with-a-name-{number}", ["a"], Stream.JOBS, redis_client)
    heartbeat(redis_client, "host-1-well")
    page = sign_in_as_superuser().get("/admin/").content.decode()
    assert "vendor-with-a-name-19" in page
    assert len(page) < MAX_BYTES
    files = re.findall(r'<(?:link|script|img)[^>]+(?:href|src)="([^"]+)', page)
    assert len(files) <= 5, files


@pytest.mark.sqlite
@pytest.mark.parametrize("chosen", ["hour", "week", "nonsense"])
def test_what_people_did_is_marked_in_the_charts(chosen, make_vendor, redis_client):
    make_vendor("acme")
    record(Actor("ada"), "vendor.paused", "vendor:acme", {})
    record(Actor("ada"), "vendor.tried", "vendor:acme", {})
    browser = sign_in_as_superuser()
    with CaptureQueriesContext(connection) as queries:
        page = text(browser.get(f"/admin/?range={chosen}"))
    assert "acme paused by ada" in page
    assert "tried" not in page
    [marks] = [it["sql"] for it in queries if 'FROM "audit_entry"' in it["sql"]]
    assert "SEARCH audit_entry USING INDEX audit_action" in plan_of(marks)


@pytest.mark.sqlite
def test_what_is_beyond_the_table_is_counted(make_vendor, redis_client, monkeypatch):
    monkeypatch.setattr("jobs.admin.overview.view.MAX_LISTED", 1)
    make_vendor("acme"), make_vendor("globex")
    page_text = text(sign_in_as_superuser().get("/admin/"))
    assert "and 1 more" in page_text
    assert "globex running" not in page_text
