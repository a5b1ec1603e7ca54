"""Operators pause and resume vendors in the console, with reason, name and times on record."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from jobs.tests.console import sign_in_as_superuser, text
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Vendor

pytestmark = pytest.mark.django_db
VENDORS = "/admin/vendors/vendor/"


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


def history():
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("action_time")]


def test_a_vendor_is_paused_with_a_reason_and_resumed(browser, make_vendor):
    vendor = make_vendor()
    page = browser.get(f"{VENDORS}{vendor.pk}/pause/")
    assert "Pause vendor acme?" in text(page)
    page_text = text(
        browser.post(
            f"{VENDORS}{vendor.pk}/pause/", {"reason": "They ask us to wait."}, follow=True
        )
    )
    vendor.refresh_from_db()
    since = f"{vendor.paused_at:%F %T} UTC"
    assert f"State: paused: They ask us to wait (by operator, since {since})" in page_text
    assert (vendor.paused, vendor.paused_until, vendor.paused_by) == (True, None, "operator")
    assert timezone.now() - vendor.paused_at < timedelta(minutes=1)
    assert catalogue.get("acme").is_paused(timezone.now())
    again = text(browser.post(f"{VENDORS}{vendor.pk}/pause/", {"reason": "Again."}, follow=True))
    assert "acme is already paused. Resume it first to change the pause." in again
    assert "State: running" in text(browser.post(f"{VENDORS}{vendor.pk}/resume/", follow=True))
    assert not catalogue.get("acme").is_paused(timezone.now())
    assert history() == [
        f"Paused. State: running → paused: They ask us to wait (by operator, since {since}).",
        f"Resumed. State: paused: They ask us to wait (by operator, since {since}) → running.",
    ]


def test_a_pause_that_lets_polls_go_on_says_so_and_can_be_replaced(browser, make_vendor):
    definition = {"credential": "pdl", "poll": {"every": "1s"}}
    vendor = make_vendor(paused=True, pause_reason=pauses.UNPAID, definition=definition)
    page = f"{VENDORS}{vendor.pk}/"
    shown = text(browser.get(f"{page}change/"))
    assert "then resume it; polls go on" in shown
    assert "Resume Pause" in shown
    browser.post(f"{page}pause/", {"reason": "Budget."})
    shown = text(browser.get(f"{page}change/"))
    assert "polls go on" not in shown
    assert "Resume Pause" not in shown


def test_a_form_with_errors_shows_the_stored_state(browser, make_vendor):
    vendor = make_vendor(paused=True, pause_reason="They ask us to wait.")
    page = f"{VENDORS}{vendor.pk}/change/"
    form = browser.get(page).context["adminform"].form
    page_text = text(
        browser.post(
            page,
            {**{name: form[name].value() or "" for name in form.fields}, "rate_limits": "10 per s"},
        )
    )
    assert "is not a valid rate limit" in page_text
    assert "State: paused: They ask us to wait" in page_text


def test_a_pause_can_have_an_end(browser, make_vendor):
    vendor = make_vendor()
    until = (timezone.now() + timedelta(hours=2)).replace(second=0, microsecond=0)
    posted = {"reason": "Their maintenance.", "until": f"{until:%Y-%m-%dT%H:%M}"}
    assert "paused until" in text(browser.post(f"{VENDORS}{vendor.pk}/pause/", posted, follow=True))
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
        ({"reason": "Why", "until": "soon"}, "Enter a valid date/time."),
    ],
)
def test_a_pause_needs_a_reason_and_an_end_in_the_future(browser, make_vendor, posted, sentence):
    vendor = make_vendor()
    assert sentence in text(browser.post(f"{VENDORS}{vendor.pk}/pause/", posted))
    vendor.refresh_from_db()
    assert not vendor.is_paused(timezone.now())
    assert history() == []


def test_several_vendors_are_paused_and_resumed_together(browser, make_vendor):
    ids = [make_vendor(slug).pk for slug in ("acme", "globex")]
    page = browser.post(VENDORS, {"action": "pause_vendors", "_selected_action": ids, "index": "0"})
    assert "Pause 2 vendors?" in text(page)
    assert not any(Vendor.objects.values_list("paused", flat=True)), "not before a reason is given"
    browser.post(f"{VENDORS}pause/", {"ids": " ".join(ids), "reason": "Budget."})
    assert list(Vendor.objects.values_list("paused", "pause_reason")) == [(True, "Budget.")] * 2
    browser.post(VENDORS, {"action": "resume_vendors", "_selected_action": ids, "index": "0"})
    assert not any(Vendor.objects.values_list("paused", flat=True))
    assert len(history()) == 4


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
    assert f"{vendor.pk}/resume/" in page
    assert f"{vendor.pk}/pause/" in page
    page_text = text(
        browser.post(f"{VENDORS}{vendor.pk}/pause/", {"reason": "Budget."}, follow=True)
    )
    assert "State: paused: Budget (by operator" in page_text


def test_get_changes_nothing(browser, make_vendor):
    vendor = make_vendor()
    assert browser.get(f"{VENDORS}{vendor.pk}/pause/").status_code == 200
    assert browser.get(f"{VENDORS}{vendor.pk}/resume/").status_code == 405
    assert not Vendor.objects.get().paused


def test_a_pause_because_no_worker_can_call_the_vendor_is_not_resumed(browser, make_vendor):
    vendor = make_vendor(paused=True, pause_reason="No worker can call it: There is no key.")
    page_text = text(browser.post(f"{VENDORS}{vendor.pk}/resume/", follow=True))
    assert "The pause ends by itself once a worker can." in page_text
    assert Vendor.objects.get().paused
