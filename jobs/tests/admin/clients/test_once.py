"""A form that creates a key creates one, however often it is sent."""

import pytest

from audit.models import Entry
from clients.models import ApiKey
from jobs.admin.clients import once
from jobs.tests.admin.clients.pages import KEYS, fields_for, is_valid, key_in
from jobs.tests.console import sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
DISABLED = "Client billing is disabled: this key is refused until the client is enabled."


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


def shown_id(page):
    """Return the hidden id of the form on the page."""
    context = page.context
    form = context["adminform"].form if "adminform" in context else context["form"]
    field = form["new_id"]
    assert field.as_widget() in page.content.decode()
    return field.value()


def assert_only_shown_again(response, count):
    assert once.NOT_NEW in text(response)
    assert "elk_" in text(response)
    assert 'class="new-key"' not in response.content.decode()
    assert ApiKey.objects.count() == count
    assert Entry.objects.filter(action="api_key.created").count() == count


def test_a_reload_after_creating_creates_nothing(browser, make_client):
    add = f"{KEYS}add/"
    sent = fields_for(make_client(), new_id=shown_id(browser.get(add)))
    assert is_valid(key_in(browser.post(add, sent)))
    assert ApiKey.objects.get().pk == sent["new_id"]
    assert_only_shown_again(browser.post(add, sent, follow=True), 1)
    another = {**sent, "new_id": shown_id(browser.get(add))}
    assert is_valid(key_in(browser.post(add, another)))


def test_a_reload_after_rotating_creates_nothing(browser, make_key):
    page = f"{KEYS}{make_key().key.pk}/rotate/"
    sent = {"overlap": "24", "new_id": shown_id(browser.get(page))}
    new = key_in(browser.post(page, sent))
    response = browser.post(page, sent, follow=True)
    assert_only_shown_again(response, 2)
    assert response.redirect_chain == [(f"{KEYS}{sent['new_id']}/change/", 302)]
    assert new[:12] in text(response)


@pytest.mark.parametrize("act", ["add", "rotate"])
def test_a_form_sent_twice_at_once_creates_one_key(browser, make_key, monkeypatch, act):
    old = make_key()
    page = f"{KEYS}add/" if act == "add" else f"{KEYS}{old.key.pk}/rotate/"
    fields = fields_for(old.key.client) if act == "add" else {"overlap": "24"}
    sent = {**fields, "new_id": shown_id(browser.get(page))}
    browser.post(page, sent)
    # The other request's key is stored after this one has looked for it.
    module = "api_key" if act == "add" else "api_key_acts"
    found = iter([lambda request: None, once.created_before])
    monkeypatch.setattr(
        f"jobs.admin.clients.{module}.created_before", lambda request: next(found)(request)
    )
    response = browser.post(page, sent, follow=True)
    assert once.NOT_NEW in text(response)
    assert ApiKey.objects.count() == 2


def test_a_faulty_id_is_explained(browser, make_client):
    response = browser.post(f"{KEYS}add/", fields_for(make_client(), new_id="x"))
    assert "Enter a valid UUID." in text(response)
    assert not ApiKey.objects.exists()


def test_a_new_key_of_a_disabled_client_comes_with_a_warning(browser, make_client, make_key):
    client = make_client()
    old = make_key(client)
    assert "is disabled" not in text(browser.post(f"{KEYS}add/", fields_for(client)))
    client.enabled = False
    client.save()
    created = browser.post(f"{KEYS}add/", fields_for(client))
    rotated = browser.post(f"{KEYS}{old.key.pk}/rotate/", {"overlap": "24"})
    for response in (created, rotated):
        assert key_in(response)
        assert DISABLED in text(response)


def test_the_client_is_preselected(browser, make_client):
    make_client("default")
    client = make_client()
    listed = browser.get(f"{KEYS}?client=billing").content.decode()
    carried = "add/?_changelist_filters=client%3Dbilling"
    assert carried in listed
    for query in (f"add/?client={client.pk}", carried):
        page = browser.get(f"{KEYS}{query}").content.decode()
        assert f'<option value="{client.pk}" selected>billing</option>' in page
    assert browser.get(f"{KEYS}add/?client=nobody").status_code == 200
