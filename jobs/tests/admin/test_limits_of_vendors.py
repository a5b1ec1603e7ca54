"""Operators change the limits of a vendor once they have seen the effect."""

import re
from html import unescape

import pytest

from audit.models import Entry
from jobs.admin.vendors.page.effect import effect, is_much_more
from jobs.monitoring.facts import VendorLine, VendorState, WindowUse
from jobs.tests.console import sign_in, sign_in_as_superuser, text
from vendors.models import Limit, Vendor

pytestmark = [pytest.mark.django_db]
PAGE = "/admin/vendors/acme/limits/"
VALUES = {
    "rate_limits": "10/s",
    "max_in_flight": "",
    "max_queued": "1000000",
    "arrival_margin_ms": "70",
}


@pytest.fixture
def acme(make_vendor, redis_client):
    return make_vendor(rate_limits="10/s")


def hidden(page):
    """Return the hidden fields of the form, which a browser posts back."""
    tags = re.findall(r"<input[^>]*type=\"hidden\"[^>]*>", page.content.decode())
    pairs = [
        (re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)) for tag in tags
    ]
    return {name[1]: unescape(value[1]) if value else "" for name, value in pairs if name}


def post(browser, page, act, **values):
    fields = {**hidden(page), **VALUES, **values, "act": act}
    return browser.post(PAGE, fields, follow=True)


def test_limits_are_saved_once_their_effect_was_shown(acme):
    browser = sign_in_as_superuser()
    page = post(browser, browser.get(PAGE), "save", rate_limits="20/s, 500/min")
    assert "The vendor will see at most 20 calls in any second." in text(page)
    assert "The vendor will see at most 500 calls in any minute." in text(page)
    assert Vendor.objects.get().rate_limits == "10/s", "not before its effect was shown"
    Vendor.objects.update(max_attempts=9, paused=True)  # meanwhile
    page = post(browser, page, "save", rate_limits="20/s, 500/min", reason="A new contract.")
    assert "The limits of vendor acme are changed. They apply within a second." in text(page)
    vendor = Vendor.objects.get()
    assert (vendor.rate_limits, vendor.max_attempts, vendor.paused) == ("20/s, 500/min", 9, True)
    entry = Entry.objects.get()
    assert (entry.action, entry.target) == ("vendor.limits_changed", "vendor:acme")
    assert entry.changes == {"rate_limits": ["10/s", "20/s, 500/min"]}
    assert entry.reason == "A new contract."


def test_ten_times_as_much_needs_a_tick(acme):
    browser = sign_in_as_superuser()
    page = post(browser, browser.get(PAGE), "show", rate_limits="100/s")
    page = post(browser, page, "save", rate_limits="100/s")
    assert "Tick the box if you mean it." in text(page)
    assert Vendor.objects.get().rate_limits == "10/s"
    post(browser, page, "save", rate_limits="100/s", sure="on")
    assert Vendor.objects.get().rate_limits == "100/s"


@pytest.mark.sqlite
def test_what_differs_from_what_was_shown_is_shown_again(acme):
    browser = sign_in_as_superuser()
    page = post(browser, browser.get(PAGE), "show", rate_limits="20/s")
    page = post(browser, page, "save", rate_limits="30/s")
    assert "at most 30 calls in any second" in text(page)
    assert Vendor.objects.get().rate_limits == "10/s"
    page = post(browser, browser.get(PAGE), "show")
    assert "Nothing would change." in text(page)
    assert "Save these limits" not in text(page)
    page = post(browser, browser.get(PAGE), "save", rate_limits="often")
    assert "is not a valid rate limit" in text(page)


@pytest.mark.sqlite
def test_changing_limits_needs_its_permission(acme):
    browser = sign_in("view_vendor", "change_vendor")
    assert browser.get(PAGE).status_code == 403
    assert browser.post(PAGE, VALUES).status_code == 403


def line(vendor, **facts):
    return VendorLine(vendor, vendor.slug, VendorState.RUNNING, "", **facts)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("old", "new", "facts", "sentence"),
    [
        (
            {"rate_limits": "30/min"},
            {"rate_limits": "100/min"},
            {"waiting": 1230},
            "The backlog of 1,230 jobs takes about 12 min, bound by 100/min. "
            "With the limits as they are: about 41 min.",
        ),
        (
            {"max_in_flight": 2},
            {"max_in_flight": 10},
            {"waiting": 100, "in_flight": 2, "done_per_minute": 60.0},
            "The backlog of 100 jobs takes about 20 s, bound by 10 in flight. "
            "With the limits as they are: about 100 s.",
        ),
        (
            {"rate_limits": "20000/day"},
            {"rate_limits": "5000/day"},
            {"waiting": 4, "windows": [WindowUse("20000/day", 7355, 20000)]},
            "The backlog of 4 jobs takes about 7 h 42 min, bound by 5000/day. "
            "With the limits as they are: as fast as the workers can.",
        ),
        (
            {"rate_limits": "8/min, 20000/day"},
            {"rate_limits": "16/min, 20000/day"},
            {"waiting": 4, "windows": [WindowUse("20000/day", 7355, 20000)]},
            "The backlog of 4 jobs is called as fast as the workers can: no limit holds it.",
        ),
        (
            {"rate_limits": "8/min"},
            {"rate_limits": "16/min"},
            {"waiting": 4, "windows": [WindowUse("8/min", 8, 8)]},
            "no limit holds it. With the limits as they are: about 30 s.",
        ),
        ({}, {"rate_limits": "1/s"}, {"waiting": 0}, "No job waits"),
        ({}, {"rate_limits": "1/s"}, {}, "Redis does not answer"),
        (
            {"rate_limits": "500/min"},
            {"rate_limits": "100/min"},
            {"windows": [WindowUse("500/min", 412, 500)]},
            "412 calls already count where 100/min would allow 100: no call starts until enough of "
            "them are past, for 60 s at most.",
        ),
        (
            {"max_in_flight": 10},
            {"max_in_flight": 5},
            {"in_flight": 8},
            "8 are in flight now: no call starts until fewer than 5 are.",
        ),
        ({"max_queued": 100}, {"max_queued": 50}, {"waiting": 60}, "60 jobs wait already"),
        ({"arrival_margin_ms": 70}, {"arrival_margin_ms": 0}, {}, "may count more calls"),
        ({"rate_limits": "1/s"}, {"rate_limits": ""}, {}, "as many calls as the workers can make"),
    ],
)
def test_effects(old, new, facts, sentence):
    stored, changed = (Vendor(slug="acme", definition={}, **each) for each in (old, {**old, **new}))
    assert any(sentence in each for each in effect(stored, changed, line(stored, **facts)))


@pytest.mark.sqlite
def test_a_shared_limit_may_be_what_binds():
    stored, changed = (
        Vendor(slug="acme", definition={"limits": ["all"]}, rate_limits=each)
        for each in ("10/s", "20/s")
    )
    for vendor in (stored, changed):
        vendor.named_limits = {"all": Limit(slug="all", definition={"windows": "60/min"})}
    [backlog, *_] = effect(stored, changed, line(stored, waiting=600))
    assert "takes about 10 min, bound by the limit all." in backlog


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("old", "new", "is_much"),
    [
        ({"rate_limits": "10/s"}, {"rate_limits": "99/s"}, False),
        ({"rate_limits": "10/s"}, {"rate_limits": "6000/min"}, True),
        ({"rate_limits": "10/s, 20/min"}, {"rate_limits": "10/s"}, True),
        ({"rate_limits": "8/min, 100/day"}, {"rate_limits": "80/min, 100/day"}, True),
        ({"rate_limits": "10/s"}, {"rate_limits": ""}, True),
        ({"rate_limits": ""}, {"rate_limits": "1000/s"}, False),
        ({"max_in_flight": 2}, {"max_in_flight": 20}, True),
        ({"max_in_flight": None}, {"max_in_flight": 20}, False),
    ],
)
def test_what_is_much_more(old, new, is_much):
    assert is_much_more(Vendor(**old), Vendor(**new)) is is_much
