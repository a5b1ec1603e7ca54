"""Audit entries say who did what to what, and nothing changes them."""

import getpass

import pytest
from django.contrib.auth.models import Permission

from audit.models import Entry
from audit.record import Actor, command_line, record

pytestmark = pytest.mark.django_db


def test_an_entry_says_who_did_what():
    record(
        Actor("ann", "192.0.2.1"),
        "client.changed",
        "client:billing",
        {"note": ["", "ü"]},
        reason="r",
    )
    entry = Entry.objects.get()
    assert (entry.actor, entry.address, entry.reason) == ("ann", "192.0.2.1", "r")
    assert entry.changes == {"note": ["", "ü"]}
    assert str(entry) == "client.changed client:billing by ann"


def test_texts_of_any_length_are_kept_as_far_as_they_fit():
    record(Actor("a" * 200), "x", "y", reason="r" * 600)
    entry = Entry.objects.get()
    assert (len(entry.actor), len(entry.reason), entry.changes) == (150, 500, {})


def test_the_command_line_is_named_with_its_user(monkeypatch):
    assert command_line().name == f"command line ({getpass.getuser()})"

    def fail():
        raise KeyError("uid not found")

    monkeypatch.setattr("getpass.getuser", fail)
    assert command_line() == Actor("command line")


def test_entries_can_be_viewed_and_nothing_else():
    found = Permission.objects.filter(content_type__app_label="audit")
    assert list(found.values_list("codename", flat=True)) == ["view_entry"]
