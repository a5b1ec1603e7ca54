"""Vendors that behave as the real ones do work from their definitions alone."""

import pytest

from harness.vendor.gallery import GalleryVendor
from harness.vendor.strict import sliding
from harness.waiting import wait_for
from jobs.models import Attempt, Job
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from tests.conftest import statuses, wait_until_final
from tests.gallery import load_definition
from vendors import limits, pauses
from vendors.models import Vendor

pytestmark = [
    pytest.mark.sqlite,
    pytest.mark.usefixtures("transactional_db", "redis_client", "gallery_keys"),
]

VENDORS = [
    ("companies_house", "companies_house"),
    ("dropcontact", "dropcontact"),
    ("fullenrich", "fullenrich"),
    ("genderize", "genderize"),
    ("gleif", "gleif"),
    ("hunter", "hunter"),
    ("hunter", "hunter_verifier"),
    ("ipinfo", "ipinfo"),
    ("llm", "llm"),
    ("nominatim", "nominatim"),
    ("pdl", "pdl"),
    ("snov", "snov"),
    ("vies", "vies"),
]


def judge_of(vendor: str):
    """Return a judge that allows what the vendor's limits say, exactly."""
    texts = [vendor.rate_limits, *(it.definition["windows"] for it in vendor.limits)]
    windows = [window for text in texts for window in limits.parse(text)]
    judges = [sliding(window.calls, window.seconds) for window in windows]
    return lambda now: all([allows(now) for allows in judges])


@pytest.fixture
def vendor_like():
    """Return a function that starts a server like a vendor, and loads the vendor's definition."""
    servers = []

    def start(name, vendor="", *, polls_after="1s", **options):
        server = GalleryVendor(name, vendor, **options)
        servers.append(server)
        server.vendor = load_definition(name, server, vendor=vendor, polls_after=polls_after)
        return server

    yield start
    for server in servers:
        server.stop()


def submit(server: GalleryVendor, count: int) -> list[Job]:
    slug = server.vendor.slug
    jobs = [Job.new(vendor=slug, name="", input=server.input) for _ in range(count)]
    Job.objects.bulk_create(jobs)
    stream.offer(slug, [job.pk for job in jobs])
    return jobs


def test_all_of_them_are_called_asked_and_understood(vendor_like, work):
    servers = {}
    for name, slug in VENDORS:
        servers[slug] = vendor_like(name, slug, polls=1)
        servers[slug].judge = judge_of(servers[slug].vendor)
        submit(servers[slug], 2)
    work()
    wait_until_final()
    results = {(job.vendor, job.outcome, str(job.result)) for job in Job.objects.all()}
    assert results == {(slug, "found", str(server.result)) for slug, server in servers.items()}
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"found", "pending"}
    # Hunter counts a verification once, however often it is asked for meanwhile.
    charged = {slug: server.charged for slug, server in servers.items()}
    assert charged == {**dict.fromkeys(servers, 2), "hunter_verifier": 1}


def test_an_account_that_runs_out_is_topped_up_and_nothing_is_paid_twice(vendor_like, work):
    server = vendor_like("pdl", credits=4)
    submit(server, 12)
    work()
    wait_for(lambda: Vendor.objects.get().paused, "the vendor to be paused")
    wait_for(lambda: set(statuses()) == {"complete", "queued"}, "the calls to end")
    assert statuses().count("complete") == 4
    server.credits = 12
    pauses.resume("pdl", now=redis_clock.now())
    wait_until_final()
    assert statuses() == ["complete"] * 12
    assert server.charged == Attempt.objects.filter(outcome="found").count() == 12


def test_a_vendor_that_allows_less_than_it_says_is_left_alone_for_a_while(vendor_like, work):
    server = vendor_like("hunter", judge=sliding(2, 1.0))
    submit(server, 3)
    work()
    wait_until_final()
    assert statuses() == ["complete"] * 3
    outcomes = list(Attempt.objects.values_list("outcome", flat=True))
    assert (outcomes.count("found"), set(outcomes)) == (3, {"found", "rate_limited"})
    assert set(Job.objects.values_list("failures", flat=True)) == {0}


def test_a_wrong_key_pauses_the_vendor_and_fails_no_job(vendor_like, work, monkeypatch):
    monkeypatch.setenv("VENDOR_HUNTER_KEY", "wrong")
    submit(vendor_like("hunter"), 4)
    work()
    wait_for(lambda: Vendor.objects.get(slug="hunter").paused, "the vendor to be paused")
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"auth"}
    assert "failed" not in statuses()


def test_signed_callbacks_complete_jobs_before_any_poll(vendor_like, work, client):
    server = vendor_like("fullenrich", polls_after="1h")
    submit(server, 3)
    work()
    wait_for(lambda: statuses() == ["waiting"] * 3, "the jobs to wait")
    for sent in server.callbacks():
        response = client.post(
            sent.url, sent.body, content_type="application/json", headers=sent.headers
        )
        assert response.status_code == 200
    assert {(job.status, str(job.result)) for job in Job.objects.all()} == {
        ("complete", str(server.result))
    }
    assert len(server.arrivals) == 3
