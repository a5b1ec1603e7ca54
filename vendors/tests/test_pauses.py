"""A pause has a reason, a start and an operator. Resuming clears all three."""

from datetime import timedelta

import pytest
from django.utils import timezone

from vendors import pauses
from vendors.models import Credential, CredentialKey, Vendor
from vendors.pauses import keys

pytestmark = pytest.mark.django_db


@pytest.fixture
def now():
    return timezone.now()


def stored():
    return Vendor.objects.get()


def test_an_automatic_pause_names_no_operator(make_vendor, now):
    make_vendor()
    assert pauses.pause_until("acme", now + timedelta(minutes=1), "Slow down.", now=now)
    vendor = stored()
    assert (vendor.paused_by, vendor.pause_reason) == ("", "Slow down.")
    assert abs(vendor.paused_at - now) < timedelta(minutes=1)


def test_an_extended_pause_keeps_its_start(make_vendor, now):
    began = now - timedelta(minutes=9)
    make_vendor(paused_until=now + timedelta(minutes=1), paused_at=began, paused_by="alice")
    assert pauses.pause_until("acme", now + timedelta(minutes=2), "Slow down.", now=now)
    assert abs(stored().paused_at - began) < timedelta(seconds=1)
    assert stored().paused_by == ""
    assert not pauses.pause_until("acme", now + timedelta(minutes=1), "A shorter one.", now=now)
    assert stored().pause_reason == "Slow down."


def test_a_pause_after_an_ended_one_has_a_new_start(make_vendor, now):
    began = now - timedelta(minutes=9)
    make_vendor(paused_until=now - timedelta(minutes=1), paused_at=began)
    assert pauses.pause_until("acme", now + timedelta(minutes=2), "Slow down.", by="alice", now=now)
    assert stored().paused_at > began + timedelta(minutes=5)
    assert stored().paused_by == "alice"


def test_a_pause_without_an_end_is_not_replaced_by_one_with_an_end(make_vendor, now):
    make_vendor()
    assert pauses.pause("acme", "Budget.", by="alice")
    assert not pauses.pause("acme", "Again.")
    assert not pauses.pause_until("acme", now + timedelta(days=1), "Slow down.", now=now)
    vendor = stored()
    assert (vendor.paused, vendor.pause_reason, vendor.paused_by) == (True, "Budget.", "alice")


def test_resume_clears_all_fields_of_a_pause(make_vendor, now):
    make_vendor()
    pauses.pause_until("acme", now + timedelta(days=1), "Slow down.", by="alice", now=now)
    pauses.pause("acme", "Budget.", by="bob")
    assert pauses.resume("acme", now=now)
    vendor = stored()
    assert (vendor.paused, vendor.paused_until, vendor.pause_reason) == (False, None, "")
    assert (vendor.paused_at, vendor.paused_by) == (None, "")


@pytest.mark.parametrize(
    ("reason", "by", "outcomes", "is_ended"),
    [
        (pauses.DENIED, "", ["auth"], True),
        (pauses.UNPAID, "", ["auth", "no_credits"], True),
        (pauses.UNPAID, "", ["auth"], False),
        (pauses.UNPAID, "alice", ["no_credits"], False),
        (pauses.SLOW_DOWN, "", ["auth", "no_credits"], False),
    ],
)
def test_a_check_ends_only_automatic_pauses_that_its_success_disproves(
    make_vendor, reason, by, outcomes, is_ended
):
    make_vendor()
    pauses.pause("acme", reason, by)
    assert pauses.resume_if_automatic("acme", outcomes, now=timezone.now()) == is_ended
    assert stored().paused != is_ended


def test_a_pause_until_credits_are_reset_can_be_ended_early(make_vendor, now):
    make_vendor()
    pauses.pause_until("acme", now + timedelta(days=9), pauses.UNPAID_UNTIL_RESET, now=now)
    assert pauses.resume_if_automatic("acme", now=now)
    assert (stored().paused_until, stored().pause_reason) == (None, "")


def test_answers_leave_an_operators_pause_with_an_end(make_vendor, now):
    """Of a key and of a vendor that shares it; nor does resuming another vendor end it."""
    table = {"header": "X-Key", "keys_env": ["VENDOR_KEY"]}
    Credential.objects.create(slug="pdl", definition=table)
    for slug in ("pdl", "bulk"):
        make_vendor(slug, adapter="http", url="GET http://a/", definition={"credential": "pdl"})
    later, key = now + timedelta(minutes=9), ("pdl", "VENDOR_KEY")
    pauses.pause_until("bulk", later, "Budget.", "ann", now=now)
    assert keys.pause(*key, pauses.UNPAID, now=now)
    assert keys.pause_vendors("pdl", now=now) == ["pdl"]
    pauses.resume("pdl", now=now)
    assert Vendor.objects.get(slug="bulk").paused_by == "ann"
    keys.pause_until(*key, later, "It leaked.", "ann", now=now)
    assert not keys.pause(*key, pauses.UNPAID, now=now)
    assert not keys.pause_until(*key, later + timedelta(1), pauses.SLOW_DOWN, now=now)
    pauses.resume("pdl", now=now)
    assert CredentialKey.objects.get().paused_by == "ann"
    assert keys.pause(*key, pauses.UNPAID, now=later)
