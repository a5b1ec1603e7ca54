"""The history of clients and API keys is what the audit log has about them."""

import pytest
from django.core.management import call_command

from audit.models import Entry
from audit.record import Actor, record
from clients import issuing
from clients.tests.actors import OPERATOR
from jobs.admin.clients import history
from jobs.tests.admin.clients.pages import KEYS
from jobs.tests.console import sign_in, sign_in_as_superuser, text
from tests.plans import assert_quick, reads_of

pytestmark = pytest.mark.django_db
CLIENTS = "/admin/clients/client/"


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


def test_acts_by_command_are_in_the_history_of_a_key(browser, make_key, capsys):
    issued = make_key()
    make_key(issued.key.client, name="another")
    call_command("api_key", "revoke", str(issued.key), reason="Leaked <b>.")
    page = browser.get(f"{KEYS}{issued.key.pk}/history/")
    shown = text(page)
    assert "revoked an API key Leaked <b>. revoked_at: – → 20" in shown
    assert "command line" in shown
    assert "test created an API key name: – → nightly import scopes: – → jobs:read" in shown
    assert shown.index("revoked an API key") < shown.index("created an API key")
    assert "2 entries" in shown
    assert "another" not in shown


def test_a_rotation_is_in_the_history_without_key_and_digest(browser, make_key):
    issued = make_key()
    new = issuing.rotate(issued.key, OPERATOR)
    body = browser.get(f"{KEYS}{issued.key.pk}/history/").content.decode()
    assert new.key.public in body
    for each in (issued, new):
        assert each.text[12:] not in body
        assert each.key.digest not in body


def test_the_history_of_a_client_shows_old_and_new_values(browser, make_client):
    client = make_client()
    assert "No acts are on record." in text(browser.get(f"{CLIENTS}{client.pk}/history/"))
    record(Actor("ann"), "client.changed", "client:billing", {"request_limits": ["5/s", "9/s"]})
    record(Actor("ann"), "client.changed", "client:crm", {"request_limits": ["1/s", "2/s"]})
    shown = text(browser.get(f"{CLIENTS}{client.pk}/history/"))
    assert "ann changed a client request_limits: 5/s → 9/s 1 entry" in shown


def test_a_long_history_has_pages_which_are_read_by_an_index(browser, make_client, monkeypatch):
    monkeypatch.setattr(history, "PER_PAGE", 2)
    client = make_client()
    for number in range(5):
        record(Actor("ann"), "client.changed", "client:billing", reason=f"Reason {number}.")
    url = f"{CLIENTS}{client.pk}/history/"
    with reads_of("audit_") as found:
        first = browser.get(url)
    assert_quick(found[-1:], finds=True)
    assert ["Reason 4." in text(first), "Reason 2." in text(first)] == [True, False]
    assert '<a href="?p=2">Older</a>' in first.content.decode()
    assert "Reason 0." in text(browser.get(url, {"p": "3"}))
    assert browser.get(url, {"p": "x"}).status_code == 200


@pytest.mark.sqlite
def test_a_history_is_for_those_who_may_view_the_object(make_key):
    issued = make_key()
    key, client = f"{KEYS}{issued.key.pk}/history/", f"{CLIENTS}{issued.key.client_id}/history/"
    browser = sign_in("view_client", "change_client")
    assert [browser.get(key).status_code, browser.get(client).status_code] == [403, 200]
    assert Entry.objects.count() == 1
