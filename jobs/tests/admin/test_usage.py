"""The pages of a vendor and of a limit show how much of each limit is used."""

import pytest

from jobs.models import Stream
from jobs.queue import stream
from jobs.queue.keys import HEARTBEATS, UNUSABLE
from jobs.queue.redis import hints
from jobs.queue.take import take
from jobs.recovery import unusable
from jobs.recovery.rebuild import rebuild
from jobs.tests.console import sign_in_as_superuser, text
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Credential, Limit

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]
FIRST, SECOND = "VENDOR_KEY_1", "VENDOR_KEY_2"
LIMITS = {
    "each": {"windows": "2/h, 20/day", "per": "credential"},
    "month": {"quota": {"calls": 1000, "period": "month", "from": 17, "zone": "Europe/Berlin"}},
    "scarce": {"quota": {"calls": 2, "period": "day", "spent": "fail"}, "max_in_flight": 1},
}


@pytest.fixture
def pages(make_vendor, monkeypatch, redis_client):
    """Return a function that reads the page of a vendor or of a limit."""
    for name in (FIRST, SECOND):
        monkeypatch.setenv(name, "k3y")
    pool = {"header": "X-Key", "keys_env": [FIRST, SECOND]}
    Credential.objects.create(slug="pool", definition=pool)
    for slug, definition in LIMITS.items():
        Limit.objects.create(slug=slug, definition=definition)
    definition = {"credential": "pool", "limits": list(LIMITS), "weight": 2}
    url = "GET https://acme.test/{input.id}"
    acme = make_vendor(
        "acme", adapter="http", url=url, rate_limits="50/5min", definition=definition
    )
    rows = {"acme": acme, **{limit.slug: limit for limit in Limit.objects.all()}}
    browser = sign_in_as_superuser()

    def read(slug):
        row = rows[slug]
        return text(browser.get(f"/admin/vendors/{row._meta.model_name}/{row.pk}/change/"))

    return read


def test_what_is_used_of_each_bucket(pages, redis_client):
    assert pages("acme").count("Not counted yet: a worker does this before the next call.") == 5
    rebuild([catalogue.get("acme")])
    stream.add("acme", ["job-1", "job-2"], Stream.JOBS)
    [entry] = take(catalogue.get("acme"), "worker", 5).entries
    page = pages("acme")
    assert "Its own all 50/5min 2 evenly apart: the next at 20" in page
    assert "month all 1,000 a month from day 17, Europe/Berlin 2 resets at 20" in page
    assert f"each {entry.credential} 2/h 2 full until 20" in page
    assert "scarce all 1 in flight 1 full until one of them ends 2 a day" in page
    assert "2 a day, UTC 2 spent, jobs fail; resets at 20" in page
    other = SECOND if entry.credential == FIRST else FIRST
    redis_client.config_resetstat()
    page = pages("each")
    assert redis_client.info("commandstats")["cmdstat_evalsha"]["calls"] == 1, "of all keys at once"
    assert f"{entry.credential} 2/h 2 full until 20" in page
    assert f"{other} 2/h 0 20/day 0" in page


def test_another_vendor_whose_limit_is_gone_spoils_no_page(pages, make_vendor):
    make_vendor("broken", definition={"limits": ["gone"]})
    catalogue.forget()
    for page in (pages("acme"), pages("month")):
        assert "Not counted yet" in page


def test_without_redis_the_pages_say_so(pages, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1"
    hints.cache_clear()
    for page in (pages("acme"), pages("month")):
        assert "Unknown: Redis does not answer." in page


def test_a_key_that_no_call_is_made_with_is_marked(pages, redis_client):
    pauses.keys.pause("pool", FIRST, pauses.UNPAID)
    seconds, _ = redis_client.time()
    redis_client.zadd(HEARTBEATS, {"worker": seconds * 1000})
    missing = unusable.report({f"pool/{SECOND}": "It is not set."}, None)
    redis_client.hset(UNUSABLE, "worker", missing)
    page = pages("each")
    assert f"{FIRST} (paused)" in page
    assert f"{SECOND} (not used: no worker has it)" in page
    assert f"{SECOND} is not used: no worker has it." in pages("acme")
    assert "1 of 2 keys paused, 1 of 2 keys not used, as no worker has it." in pages("acme")
