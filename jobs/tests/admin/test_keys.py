"""Operators pause and resume the keys of a credential, and with the last one its vendors."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User

from jobs.admin.vendors.credential import EXAMPLES
from jobs.models import Status
from jobs.queue.clock import redis_clock
from jobs.queue.keys import HEARTBEATS, UNUSABLE
from jobs.recovery import unusable
from jobs.tests.console import sign_in, sign_in_as_superuser, text, trail
from vendors import credentials, pauses
from vendors.catalogue import catalogue
from vendors.loading.toml import parse_definition
from vendors.models import Credential, CredentialKey, Limit, Vendor

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]
FIRST, SECOND, OLD = "VENDOR_KEY_1", "VENDOR_KEY_2", "VENDOR_KEY_0"
DEFINITION = {"header": "X-Key", "keys_env": [FIRST, SECOND], "retired_env": [OLD]}


@pytest.fixture
def pool(make_vendor, monkeypatch):
    monkeypatch.setenv(FIRST, "k3y-s3cret")
    pool = Credential.objects.create(slug="pool", definition=DEFINITION)
    for slug in ("acme", "globex"):
        url = f"GET https://{slug}.test/{{input.id}}"
        make_vendor(slug, adapter="http", url=url, definition={"credential": "pool"})
    return pool


def page_of(row):
    return f"/admin/vendors/{row._meta.model_name}/{row.pk}/change/"


def act(browser, pool, key, do, **posted):
    path = f"/admin/vendors/credential/{pool.pk}/keys/{key}/{do}/"
    return text(browser.post(path, posted, follow=True))


def paused_vendors():
    now = redis_clock.now()
    return [vendor.slug for vendor in Vendor.objects.all() if vendor.is_paused(now)]


def test_the_page_shows_each_key_with_its_state(pool, make_job):
    for status in (Status.WAITING, Status.QUEUED, Status.COMPLETE):
        make_job(status=status, credential=OLD)
    pauses.keys.pause("pool", SECOND, pauses.UNPAID)
    browser = sign_in_as_superuser()
    page = browser.get(page_of(pool))
    assert f"{FIRST} calls and polls Set here. running 0 Pause" in text(page)
    since = f"{CredentialKey.objects.get().paused_at:%F %T} UTC"
    state = f"paused: {pauses.UNPAID.rstrip('.')} (since {since})"
    unset = f"The variable {SECOND} is not set."
    assert f"{SECOND} calls and polls {unset} {state} 0 Resume" in text(page)
    assert f"{OLD} polls alone (retired) The variable {OLD} is not set. running 2" in text(page)
    assert "k3y-s3cret" not in page.content.decode()
    acme = Vendor.objects.get(slug="acme")
    assert f"Credential: pool {SECOND} is {state}." in text(browser.get(page_of(acme)))


def test_a_key_that_no_worker_has_is_not_shown_as_running(pool, redis_client):
    browser = sign_in_as_superuser()
    redis_client.zadd(HEARTBEATS, {"worker": redis_client.time()[0] * 1000})
    missing = unusable.report({f"pool/{SECOND}": "It is not set."}, None)
    redis_client.hset(UNUSABLE, "worker", missing)
    page = text(browser.get(page_of(pool)))
    assert "not used: no worker has it. Set it in the environment of the workers, and" in page
    assert f"{FIRST} calls and polls Set here. running" in page
    listed = text(browser.get("/admin/vendors/vendor/"))
    assert "acme http running 1 of 2 keys not used, as no worker has it" in listed


def test_a_key_is_paused_and_resumed_and_with_the_last_one_the_vendors(pool):
    browser = sign_in_as_superuser()
    path = f"/admin/vendors/credential/{pool.pk}/keys/{FIRST}"
    assert "Calls go on with" not in text(browser.get(f"{path}/pause/")), "the other is not set"
    assert "This field is required." in act(browser, pool, FIRST, "pause")
    shown = act(browser, pool, SECOND, "pause", reason="Leaked.")
    assert f"Key {SECOND} is paused. " in shown
    assert paused_vendors() == []
    until = redis_clock.now().replace(second=0, microsecond=0) + timedelta(hours=2)
    shown = act(browser, pool, FIRST, "pause", reason="Audit.", until=f"{until:%FT%H:%M}")
    assert f"Key {FIRST} is paused. Vendors paused with it: acme, globex." in shown
    assert paused_vendors() == ["acme", "globex"]
    again = act(browser, pool, SECOND, "pause", reason="Again.")
    assert f"Key {SECOND} is already paused. Resume it first to change the pause." in again

    acme = Vendor.objects.get(slug="acme")
    stays = text(browser.post(f"/admin/vendors/{acme}/resume/", follow=True))
    assert "Vendor acme is paused because all keys of its credential are." in stays
    assert "Resume key" in text(browser.get(f"{path}/resume/"))
    assert paused_vendors() == ["acme", "globex"], "GET changes nothing"
    resumed = act(browser, pool, FIRST, "resume")
    assert f"Key {FIRST} is resumed. Vendors resumed with it: acme, globex." in resumed
    assert paused_vendors() == []
    assert f"Key {FIRST} is not paused." in act(browser, pool, FIRST, "resume")
    _, (paused, its_pause), (resumed, its_end) = trail("credential:pool")
    assert (paused, resumed) == ("credential.key_paused", "credential.key_resumed")
    assert its_pause[FIRST][0] == its_end[FIRST][1] == "running"
    state = f"paused until {until:%F %T} UTC: Audit (by operator, since "
    assert its_pause[FIRST][1] == its_end[FIRST][0]
    assert its_pause[FIRST][1].startswith(state)
    assert [action for action, _ in trail("vendor:acme")] == ["vendor.paused", "vendor.resumed"]
    assert f"resumed with the key {FIRST} of credential pool" in str(trail("vendor:acme"))


def test_resuming_a_vendor_says_which_keys_are_resumed_too(pool):
    for key in (FIRST, SECOND):
        pauses.keys.pause("pool", key, pauses.DENIED)
    pauses.keys.pause_vendors("pool", now=redis_clock.now())
    acme, browser = Vendor.objects.get(slug="acme"), sign_in_as_superuser()
    offer = f"Resuming the vendor resumes {FIRST} and {SECOND} too."
    assert offer in text(browser.get(page_of(acme)))
    shown = text(browser.post(f"/admin/vendors/{acme}/resume/", follow=True))
    assert f"Vendor acme is resumed. Resumed with it: {FIRST}, {SECOND}." in shown
    assert paused_vendors() == []
    [(_, changes)] = trail("vendor:acme")
    assert changes["keys"] == ["paused", f"running: {FIRST}, {SECOND}"]
    both = {key: ["paused", "resumed with vendor acme"] for key in (SECOND, FIRST)}
    assert trail("credential:pool") == [("credential.key_resumed", both)]


@pytest.mark.parametrize("kind", ["credential", "limit"])
def test_the_page_of_a_vendor_links_to_pages_that_may_be_opened(pool, kind, redis_client):
    Limit.objects.create(slug="team", definition={"max_in_flight": 5})
    acme = Vendor.objects.get(slug="acme")
    acme.definition |= {"limits": ["team"]}
    acme.save()
    catalogue.forget()
    page = sign_in("view_vendor", f"view_{kind}").get(page_of(acme)).content.decode()
    assert f"/admin/vendors/{kind}/" in page
    other = {"credential": "limit", "limit": "credential"}[kind]
    assert f"/admin/vendors/{other}/" not in page


def test_whoever_may_pause_vendors_may_pause_keys(pool):
    browser = sign_in("view_credential")
    assert "/pause/" not in browser.get(page_of(pool)).content.decode()
    path = f"/admin/vendors/credential/{pool.pk}/keys/{FIRST}/pause/"
    assert browser.post(path, {"reason": "Audit."}).status_code == 403
    User.objects.get().user_permissions.add(Permission.objects.get(codename="pause_vendor"))
    assert f"Key {FIRST} is paused." in act(browser, pool, FIRST, "pause", reason="Audit.")
    assert "The credential has no key" in act(browser, pool, "VENDOR_X", "pause", reason="Audit.")


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_are_valid(example):
    credentials.parse(parse_definition(example))
