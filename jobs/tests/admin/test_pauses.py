"""Operators pause and resume vendors in the console, with reason, name and times on record."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.models import Entry
from jobs.queue.health import breaker
from jobs.queue.health.breaker import Report
from jobs.queue.keys import Keys
from jobs.queue.redis import commands, hints
from jobs.tests.console import sign_in, sign_in_as_superuser, text, trail
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Vendor

pytestmark = pytest.mark.django_db
VENDORS = "/admin/vendors/vendor/"
ACME = "/admin/vendors/acme/"


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


def test_a_vendor_is_paused_with_a_reason_and_resumed(browser, make_vendor):
    vendor = make_vendor()
    page = browser.get(f"{ACME}pause/")
    assert "Pause vendor acme?" in text(page)
    page_text = text(browser.post(f"{ACME}pause/", {"reason": "They ask us to wait."}, follow=True))
    vendor.refresh_from_db()
    since = f"{vendor.paused_at:%F %T} UTC"
    assert "Paused by operator: They ask us to wait. Since" in page_text
    assert "Its jobs wait until somebody resumes it." in page_text
    assert (vendor.paused, vendor.paused_until, vendor.paused_by) == (True, None, "operator")
    assert timezone.now() - vendor.paused_at < timedelta(minutes=1)
    assert catalogue.get("acme").is_paused(timezone.now())
    again = text(browser.post(f"{ACME}pause/", {"reason": "Again."}, follow=True))
    assert "acme is already paused. Resume it first to change the pause." in again
    posted = {"reason": "They are back."}
    assert "Vendor acme is resumed." in text(browser.post(f"{ACME}resume/", posted, follow=True))
    assert not catalogue.get("acme").is_paused(timezone.now())
    pause = f"paused: They ask us to wait (by operator, since {since})"
    assert trail("vendor:acme") == [
        ("vendor.paused", {"state": ["running", pause]}),
        ("vendor.resumed", {"state": [pause, "running"]}),
    ]
    reasons = [entry.reason for entry in Entry.objects.order_by("id")]
    assert reasons == ["They ask us to wait.", "They are back."]


def test_a_pause_that_lets_polls_go_on_says_so_and_can_be_replaced(browser, make_vendor):
    definition = {"credential": "pdl", "poll": {"every": "1s"}}
    vendor = make_vendor(paused=True, pause_reason=pauses.UNPAID, definition=definition)
    page = f"{VENDORS}{vendor.pk}/"
    shown = text(browser.get(f"{page}change/"))
    assert "polls go on" in shown
    assert "Resume Pause Try it" in shown
    browser.post(f"{ACME}pause/", {"reason": "Budget."})
    shown = text(browser.get(f"{page}change/"))
    assert "polls go on" not in shown
    assert "Resume Pause Try it" not in shown


def test_a_form_with_errors_shows_the_stored_state(browser, make_vendor):
    vendor = make_vendor(paused=True, pause_reason="They ask us to wait.")
    page = f"{VENDORS}{vendor.pk}/change/"
    form = browser.get(page).context["adminform"].form
    page_text = text(
        browser.post(
            page,
            {**{name: form[name].value() or "" for name in form.fields}, "max_attempts": "0"},
        )
    )
    assert "Ensure this value is greater than or equal to 1." in page_text
    assert "Paused. They ask us to wait." in page_text


def test_a_pause_can_have_an_end(browser, make_vendor):
    vendor = make_vendor()
    until = (timezone.now() + timedelta(hours=2)).replace(second=0, microsecond=0)
    posted = {"reason": "Their maintenance.", "until": f"{until:%Y-%m-%dT%H:%M}"}
    page = browser.post(f"{ACME}pause/", posted, follow=True)
    assert "Its jobs wait, and go on by themselves then." in text(page)
    vendor.refresh_from_db()
    assert (vendor.paused, vendor.paused_until, vendor.paused_by) == (False, until, "operator")
    assert not vendor.is_paused(until)


@pytest.mark.parametrize(
    ("posted", "sentence"),
    [
        ({}, "This field is required."),
        ({"reason": " "}, "This field is required."),
        ({"reason": "x" * 201}, "at most 200 characters"),
        ({"reason": "Why", "until": "2020-01-01T00:00"}, "Must be in the future."),
        ({"reason": "Why", "until": "9999-12-31T23:59"}, "Must be within a year from now."),
        ({"reason": "Why", "until": "soon"}, "Enter a valid date/time."),
    ],
)
def test_a_pause_needs_a_reason_and_an_end_in_the_future(browser, make_vendor, posted, sentence):
    vendor = make_vendor()
    assert sentence in text(browser.post(f"{ACME}pause/", posted))
    vendor.refresh_from_db()
    assert not vendor.is_paused(timezone.now())
    assert trail() == []


def test_several_vendors_are_paused_and_resumed_together(browser, make_vendor):
    ids = [make_vendor(slug).pk for slug in ("acme", "globex")]
    page = browser.post(VENDORS, {"action": "pause_vendors", "_selected_action": ids, "index": "0"})
    assert "Pause 2 vendors?" in text(page)
    assert not any(Vendor.objects.values_list("paused", flat=True)), "not before a reason is given"
    browser.post(f"{VENDORS}pause-selected/", {"ids": " ".join(ids), "reason": "Budget."})
    assert list(Vendor.objects.values_list("paused", "pause_reason")) == [(True, "Budget.")] * 2
    browser.post(VENDORS, {"action": "resume_vendors", "_selected_action": ids, "index": "0"})
    assert not any(Vendor.objects.values_list("paused", flat=True))
    assert len(trail()) == 4


def test_resuming_clears_every_pause(browser, make_vendor):
    until = timezone.now() + timedelta(days=1)
    vendor = make_vendor(
        paused=True,
        paused_until=until,
        pause_reason="It asked us to wait.",
        paused_at=timezone.now(),
        paused_by="alice",
    )
    browser.post(VENDORS, {"action": "resume_vendors", "_selected_action": vendor.pk, "index": "0"})
    vendor = Vendor.objects.get()
    assert (vendor.paused, vendor.paused_until, vendor.pause_reason) == (False, None, "")
    assert (vendor.paused_at, vendor.paused_by) == (None, "")


def test_a_temporary_pause_can_be_made_permanent(browser, make_vendor):
    vendor = make_vendor(
        paused_until=timezone.now() + timedelta(minutes=1), pause_reason="It asked us to wait."
    )
    page = browser.get(f"{VENDORS}{vendor.pk}/change/").content.decode()
    assert f"{ACME}resume/" in page
    assert f"{ACME}pause/" in page
    page_text = text(browser.post(f"{ACME}pause/", {"reason": "Budget."}, follow=True))
    assert "Paused by operator: Budget." in page_text


def test_get_changes_nothing(browser, make_vendor):
    make_vendor()
    assert browser.get(f"{ACME}pause/").status_code == 200
    assert "It is running." in text(browser.get(f"{ACME}resume/"))
    Vendor.objects.update(paused=True)
    assert "Resume vendor acme?" in text(browser.get(f"{ACME}resume/"))
    assert Vendor.objects.get().paused
    Vendor.objects.update(paused=False)
    assert not Vendor.objects.get().paused


def test_a_pause_because_no_worker_can_call_the_vendor_is_not_resumed(browser, make_vendor):
    make_vendor(paused=True, pause_reason="No worker can call it: There is no key.")
    page_text = text(browser.post(f"{ACME}resume/", follow=True))
    assert "The pause ends by itself once a worker can." in page_text
    assert "Its jobs wait. The pause ends by itself once a worker can call the vendor." in page_text
    assert Vendor.objects.get().paused


@pytest.mark.sqlite
def test_a_pause_may_be_as_long_as_a_choice_says(browser, make_vendor):
    make_vendor()
    before = timezone.now()
    browser.post(f"{ACME}pause/", {"reason": "Their maintenance.", "length": "15"})
    until = Vendor.objects.get().paused_until
    assert timedelta(minutes=15) <= until - before < timedelta(minutes=16)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("back", "leads_to"),
    [("/admin/", "/admin/"), ("https://evil.test/admin/", None), ("//evil.test", None)],
)
def test_an_act_leads_back_to_where_it_was_begun(browser, make_vendor, back, leads_to):
    vendor = make_vendor()
    answer = browser.post(f"{ACME}pause/", {"reason": "Budget.", "next": back})
    assert answer.url == (leads_to or f"{VENDORS}{vendor.pk}/change/")


def test_a_breaker_is_closed_by_hand(browser, make_vendor, redis_client):
    vendor = make_vendor(max_attempts=2)
    assert "is not open" in text(browser.post(f"{ACME}close-breaker/", follow=True))
    bad = [Report("bad", "", f"job-{n}", started_us=1, code="timeout") for n in range(2)]
    assert breaker.report(vendor, bad)[-1].is_open
    assert "It is down (timeout, since" in text(browser.get(f"{ACME}close-breaker/"))
    assert "open_until" in redis_client.hgetall(Keys("acme").state), "GET changes nothing"
    page = browser.post(f"{ACME}close-breaker/", {"reason": "They are back."}, follow=True)
    assert "The breaker of vendor acme is closed." in text(page)
    state = redis_client.hgetall(Keys("acme").state)
    assert "open_until" not in state
    assert state["recovering"] == "1", "calls begin again one at a time"
    [(action, changes)] = trail("vendor:acme")
    assert action == "vendor.breaker_closed"
    assert changes["breaker"][0].endswith("(timeout)")
    late = breaker.report(vendor, [Report("bad", "", "job-3", started_us=1, code="timeout")])
    assert not late[0].is_open, "a call from before says nothing"


@pytest.mark.sqlite
@pytest.mark.parametrize("act", ["pause", "resume", "close-breaker"])
def test_acts_need_their_permissions(make_vendor, act):
    make_vendor(paused=act == "resume")
    browser = sign_in("view_vendor", "change_vendor")
    assert browser.get(f"{ACME}{act}/").status_code == 403
    assert browser.post(f"{ACME}{act}/", {"reason": "x"}).status_code == 403
    assert Vendor.objects.get().paused == (act == "resume")


@pytest.mark.sqlite
def test_without_redis_the_breaker_is_not_closed(browser, make_vendor, settings):
    make_vendor()
    settings.REDIS_URL = "redis://127.0.0.1:1"
    for client in (hints, commands):
        client.cache_clear()
    page = browser.post(f"{ACME}close-breaker/", follow=True)
    for client in (hints, commands):
        client.cache_clear()
    assert "Redis does not answer" in text(page)
    assert trail() == []
