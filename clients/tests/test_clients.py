"""Clients: what is valid, and that each change has an audit entry."""

import pytest
from django.core.exceptions import ValidationError

from audit.models import Entry
from clients import editing
from clients.directory import directory
from clients.keys import new_key
from clients.models import Client
from clients.tests.actors import OPERATOR

pytestmark = pytest.mark.django_db


def faults(client):
    with pytest.raises(ValidationError) as refused:
        client.full_clean()
    return refused.value.message_dict


@pytest.mark.parametrize(
    ("fields", "faulty", "sentence"),
    [
        ({"slug": "Billing"}, "slug", "Use only lower-case letters"),
        ({"slug": ""}, "slug", "This field cannot be blank."),
        ({"vendors": "acme, acmee"}, "vendors", "There is no vendor acmee. Known vendors: acme."),
        ({"vendors": "acme; globex"}, "vendors", "Use only lower-case letters"),
        ({"request_limits": "often"}, "request_limits", "'often' is not a valid rate limit."),
        ({"request_limits": "0/s"}, "request_limits", "To stop a client, disable it."),
        ({"request_limits": "200000/day"}, "request_limits", "can't be above 100000"),
    ],
)
def test_a_faulty_field_is_explained(make_vendor, fields, faulty, sentence):
    make_vendor()
    found = faults(Client(**{"slug": "billing", **fields}))
    assert list(found) == [faulty]
    assert sentence in " ".join(found[faulty])


def test_the_slug_never_changes(make_client):
    client = make_client()
    client.slug = "accounts"
    assert faults(client) == {"slug": ["The slug can't be changed. It is 'billing'."]}


def test_a_client_of_a_deleted_vendor_can_still_be_changed(make_vendor, make_client):
    vendor, client = make_vendor(), make_client(vendors="acme")
    vendor.delete()
    client.note = "Ask Ann."
    client.full_clean()
    client.vendors = "acme, globex"
    assert faults(client) == {"vendors": ["There is no vendor globex. Known vendors: none."]}


def test_each_change_has_an_entry(db):
    client = Client(slug="billing", request_limits="5/s")
    editing.create(client, OPERATOR)
    client.enabled, client.note, client.name = False, "Ask Ann.", "not among the changed"
    assert editing.change(client, OPERATOR, ["enabled", "note", "vendors"]) == {
        "enabled": [True, False],
        "note": ["", "Ask Ann."],
    }
    assert editing.change(client, OPERATOR, ["enabled"]) == {}
    assert Client.objects.get().name == ""
    editing.delete(Client.objects.get(), OPERATOR)
    assert [
        (entry.action, entry.target, entry.changes) for entry in Entry.objects.order_by("id")
    ] == [
        (
            "client.created",
            "client:billing",
            {"slug": [None, "billing"], "enabled": [None, True], "request_limits": [None, "5/s"]},
        ),
        (
            "client.changed",
            "client:billing",
            {"enabled": [True, False], "note": ["", "Ask Ann."]},
        ),
        (
            "client.deleted",
            "client:billing",
            {
                "slug": ["billing", None],
                "request_limits": ["5/s", None],
                "note": ["Ask Ann.", None],
            },
        ),
    ]
    assert {(entry.actor, entry.address) for entry in Entry.objects.all()} == {tuple(OPERATOR)}


def test_a_change_is_in_force_at_once_in_this_process(make_client):
    client = make_client("default")
    assert directory.anonymous()
    client.enabled = False
    editing.change(client, OPERATOR, ["enabled"])
    assert directory.anonymous() is None


def test_a_key_in_a_note_stays_out_of_the_audit_log(make_client):
    client, key = make_client(), new_key()
    client.note = f"uses {key}"
    editing.change(client, OPERATOR, ["note"])
    assert Entry.objects.get().changes == {"note": ["", f"uses {key[:12]}..."]}
