"""Keys are created, rotated and revoked, each time with an audit entry."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import OperationalError
from django.utils import timezone

from audit.models import Entry
from clients import issuing
from clients.directory import Directory, directory
from clients.issuing import MAX_OVERLAP, IssuingError
from clients.keys import digest, new_key
from clients.models import ApiKey
from clients.tests.actors import OPERATOR

pytestmark = pytest.mark.django_db


def is_valid(issued, *, at=None):
    return Directory().find(issued.text, "", at or timezone.now()) is not None


def entries():
    return [(entry.action, entry.target, entry.reason) for entry in Entry.objects.order_by("id")]


def everything():
    """Return all that is stored about keys and acts, as text."""
    return repr([*ApiKey.objects.values(), *Entry.objects.values()])


def test_a_created_key_is_stored_as_its_digest_only(make_key):
    issued = make_key(vendors="", addresses="10.0.0.0/8")
    stored = ApiKey.objects.get()
    assert stored.digest == digest(issued.text)
    assert stored.public == issued.text[4:12]
    assert issued.text[12:] not in everything()
    assert issued.text not in repr(issued)


def test_each_act_has_an_entry_without_the_key_or_its_digest(make_key):
    issued = make_key(addresses="10.0.0.0/8")
    new = issuing.rotate(issued.key, OPERATOR)
    issuing.revoke(new.key, OPERATOR, reason="Leaked.")
    old, public = f"api_key:{issued.key.public}", new.key.public
    assert entries() == [
        ("api_key.created", old, ""),
        ("api_key.created", f"api_key:{public}", ""),
        ("api_key.rotated", old, ""),
        ("api_key.revoked", f"api_key:{public}", "Leaked."),
    ]
    created, _, rotated, revoked = Entry.objects.order_by("id")
    assert created.changes == {
        "name": [None, "nightly import"],
        "scopes": [None, "jobs:read"],
        "addresses": [None, "10.0.0.0/8"],
        "client": [None, "billing"],
    }
    assert rotated.changes["replaced_by"] == ["", public]
    assert rotated.changes["expires_at"][0] is None
    assert revoked.changes["revoked_at"][0] is None
    for entry in (rotated, revoked):
        assert (entry.actor, entry.address) == ("operator", "192.0.2.1")
    for entry in Entry.objects.all():
        for each in (issued, new):
            assert each.text[12:] not in repr(entry.changes)
            assert digest(each.text) not in repr(entry.changes)


@pytest.mark.parametrize(
    ("fields", "faulty"),
    [
        ({"scopes": ""}, "scopes"),
        ({"scopes": "jobs:read, jobs:all"}, "scopes"),
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"addresses": "10.0.0.1/8"}, "addresses"),
        ({"addresses": "::ffff:10.0.0.1"}, "addresses"),
        ({"addresses": "example.com"}, "addresses"),
        ({"vendors": "Acme"}, "vendors"),
        ({"vendors": "initech"}, "vendors"),
        ({"vendors": "globex"}, "vendors"),
        ({"expires_at": timezone.now() - timedelta(seconds=1)}, "expires_at"),
    ],
)
def test_a_key_with_a_faulty_field_is_not_created(
    make_vendor, make_client, make_key, fields, faulty
):
    make_vendor(), make_vendor("globex")
    with pytest.raises(ValidationError) as refused:
        make_key(make_client(vendors="acme"), **fields)
    assert list(refused.value.message_dict) == [faulty]
    assert not ApiKey.objects.exists()
    assert entries() == []


def test_both_keys_work_during_a_rotation(make_vendor, make_key):
    make_vendor()
    old = make_key(scopes="jobs:read, jobs:submit", vendors="acme", addresses="0.0.0.0/0, ::/0")
    old.key.addresses = ""  # not stored: what the store has counts
    new = issuing.rotate(old.key, OPERATOR, overlap=timedelta(hours=1))
    for name in ("client", "name", "scopes", "vendors", "addresses"):
        assert getattr(new.key, name) == getattr(ApiKey.objects.get(pk=old.key.pk), name)
    assert new.text != old.text
    now = timezone.now()
    for at, are_valid in ((now, [True, True]), (now + timedelta(hours=2), [False, True])):
        found = [Directory().find(each.text, "192.0.2.7", at) for each in (old, new)]
        assert [caller is not None for caller in found] == are_valid
    issuing.revoke(old.key, OPERATOR)
    assert Directory().find(old.text, "192.0.2.7", now) is None
    assert Directory().find(new.text, "192.0.2.7", now)


@pytest.mark.parametrize("overlap", [timedelta(), MAX_OVERLAP])
def test_the_old_key_ends_after_the_overlap(make_key, overlap):
    old = make_key()
    issuing.rotate(old.key, OPERATOR, overlap=overlap)
    ends_at = ApiKey.objects.get(pk=old.key.pk).expires_at
    assert abs(ends_at - timezone.now() - overlap) < timedelta(seconds=10)
    assert not is_valid(old, at=ends_at)


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), MAX_OVERLAP + timedelta(seconds=1)])
def test_another_overlap_is_refused(make_key, overlap):
    old = make_key()
    with pytest.raises(IssuingError, match="0 to 7 days"):
        issuing.rotate(old.key, OPERATOR, overlap=overlap)
    assert ApiKey.objects.count() == 1


def test_a_rotation_never_prolongs_the_old_key_and_keeps_its_lifetime(make_key):
    now = timezone.now()
    old = make_key(expires_at=now + timedelta(hours=2))
    new = issuing.rotate(old.key, OPERATOR, overlap=MAX_OVERLAP)
    assert ApiKey.objects.get(pk=old.key.pk).expires_at < now + timedelta(hours=2, seconds=1)
    assert abs(new.key.expires_at - now - timedelta(hours=2)) < timedelta(seconds=10)


def test_a_key_of_a_vendor_that_was_deleted_can_be_rotated(make_vendor, make_key):
    vendor = make_vendor()
    old = make_key(vendors="acme")
    vendor.delete()
    assert issuing.rotate(old.key, OPERATOR).key.vendors == "acme"


def test_a_key_is_rotated_once(make_key):
    old = make_key()
    stale = ApiKey.objects.get()
    new = issuing.rotate(old.key, OPERATOR)
    for key in (old.key, stale):
        with pytest.raises(IssuingError, match=f"elk_{new.key.public} replaces it"):
            issuing.rotate(key, OPERATOR)
    assert ApiKey.objects.count() == 2
    assert issuing.rotate(new.key, OPERATOR)


def test_a_key_that_ended_is_not_rotated(make_client, make_key):
    client = make_client()
    revoked, expired = make_key(client), make_key(client)
    issuing.revoke(ApiKey.objects.get(pk=revoked.key.pk), OPERATOR)
    ApiKey.objects.filter(pk=expired.key.pk).update(expires_at=timezone.now())
    for issued in (revoked, expired):  # as they were read before
        with pytest.raises(IssuingError, match="revoked or has expired. Create a new key."):
            issuing.rotate(issued.key, OPERATOR)
    assert ApiKey.objects.count() == 2


def test_a_key_in_the_reason_is_masked(make_key):
    one, leaked = make_key(), new_key()
    issuing.revoke(one.key, OPERATOR, reason=f"found in a log: {leaked}")
    entry = Entry.objects.get(action="api_key.revoked")
    assert entry.reason == f"found in a log: {leaked[:12]}..."


def test_revoking_again_changes_nothing(make_key):
    issued = make_key()
    stale = ApiKey.objects.get()
    assert issuing.revoke(issued.key, OPERATOR)
    before = everything()
    assert not issuing.revoke(stale, OPERATOR)
    assert not issuing.revoke(issued.key, OPERATOR)
    assert everything() == before


def test_a_change_is_in_force_at_once_in_this_process(make_key):
    issued = make_key()
    assert directory.find(issued.text, "", timezone.now())
    issuing.revoke(issued.key, OPERATOR)
    assert directory.find(issued.text, "", timezone.now()) is None


@pytest.mark.parametrize("act", ["create", "rotate", "revoke"])
def test_without_its_entry_nothing_is_done(make_client, make_key, monkeypatch, act):
    client = make_client()
    issued = make_key(client)
    before = everything()

    def fail(*args, **kwargs):
        raise OperationalError("the store is away")

    monkeypatch.setattr(Entry.objects, "create", fail)
    with pytest.raises(OperationalError):
        make_key(client) if act == "create" else getattr(issuing, act)(issued.key, OPERATOR)
    assert everything() == before
    assert is_valid(issued)


def test_a_crash_during_a_rotation_leaves_the_old_key_as_it_was(make_key, monkeypatch):
    """On MongoDB, which has no transactions, the new key may remain: nobody has seen it."""
    old = make_key()

    def crash(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(issuing, "_change", crash)
    with pytest.raises(KeyboardInterrupt):
        issuing.rotate(old.key, OPERATOR)
    monkeypatch.undo()
    assert ApiKey.objects.get(pk=old.key.pk).expires_at is None
    created = Entry.objects.filter(action="api_key.created").values_list("target", flat=True)
    for key in ApiKey.objects.all():
        assert issuing.target(key) in created
    assert issuing.rotate(old.key, OPERATOR)


def test_the_later_of_two_rotations_at_once_leaves_no_valid_key(make_key, monkeypatch):
    """As on MongoDB, where nothing locks the row."""
    old = make_key()
    first = issuing.rotate(old.key, OPERATOR)
    monkeypatch.setattr(issuing, "_refuse_rotation", lambda key, now: None)
    with pytest.raises(IssuingError, match="at the same time"):
        issuing.rotate(old.key, OPERATOR)
    assert ApiKey.objects.get(pk=old.key.pk).replaced_by == first.key.public
    assert {key.pk for key in ApiKey.objects.filter(revoked_at=None)} == {
        old.key.pk,
        first.key.pk,
    }
