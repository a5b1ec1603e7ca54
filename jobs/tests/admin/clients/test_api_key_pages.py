"""Operators create, rotate and revoke API keys in the console. A key is shown once."""

from datetime import UTC, timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client as Browser
from django.utils import timezone

from audit.models import Entry
from clients import issuing
from clients.models import ApiKey
from clients.tests.actors import OPERATOR
from jobs.tests.admin.clients.pages import KEYS, fields_for, is_valid, key_in
from jobs.tests.console import sign_in_as_superuser, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


@pytest.fixture
def of_acme(make_vendor, make_client):
    """A client that may use one vendor."""
    make_vendor()
    return make_client(vendors="acme")


def history():
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("id")]


def test_a_created_key_is_shown_once(browser, make_client):
    client = make_client()
    response = browser.post(f"{KEYS}add/", fields_for(client, addresses="192.0.2.0/24"))
    assert response.status_code == 200
    key = key_in(response)
    assert is_valid(key)
    assert "no-store" in response["Cache-Control"]
    assert key not in repr(browser.cookies) + repr(dict(response.headers))
    stored = ApiKey.objects.get()
    assert (stored.name, stored.scopes) == ("import", "jobs:submit,jobs:read")
    seen = [f"{KEYS}{stored.pk}/{page}/" for page in ("change", "history", "rotate", "revoke")]
    for page in (KEYS, *seen, "/admin/", f"{KEYS}add/"):
        shown = browser.get(page)
        assert shown.status_code == 200, page
        assert key[12:] not in shown.content.decode()
        assert stored.digest not in shown.content.decode()
    entry = Entry.objects.get()
    assert (entry.action, entry.actor, entry.address) == (
        "api_key.created",
        "operator",
        "127.0.0.1",
    )
    assert history() == ["Created for client billing with jobs:submit,jobs:read."]
    for log in LogEntry.objects.values():
        assert key[12:] not in repr(log)


def test_the_form_suggests_scopes_and_an_expiry(browser, make_client):
    default = make_client("default")
    form = browser.get(f"{KEYS}add/").context["adminform"].form
    assert form["scopes"].value() == ["jobs:submit", "jobs:read", "jobs:manage"]
    assert form["client"].value() == default.pk
    suggested = form["expires_at"].value()
    now = timezone.now().replace(tzinfo=None)
    assert abs(suggested - now - timedelta(days=90)) < timedelta(minutes=1)
    response = browser.post(
        f"{KEYS}add/", fields_for(default, expires_at=f"{suggested:%Y-%m-%dT%H:%M}")
    )
    assert is_valid(key_in(response))
    minute = suggested.replace(second=0, microsecond=0, tzinfo=UTC)
    assert ApiKey.objects.get().expires_at == minute


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("client", "", "This field is required."),
        ("name", "", "This field is required."),
        ("scopes", [], "This field is required."),
        ("scopes", ["jobs:all"], "Select a valid choice. jobs:all is not one"),
        ("vendors", "initech", "Client billing may not use initech. It may use acme."),
        ("addresses", "10.0.0.1/8", "10.0.0.1/8 has host bits set."),
        ("addresses", "::ffff:10.0.0.1", "is an IPv4 address written as IPv6"),
        ("expires_at", "2020-01-01T00:00", "Choose a time in the future."),
        ("expires_at", "soon", "Enter a valid date/time."),
    ],
)
def test_a_faulty_field_is_explained_beside_it(browser, of_acme, name, value, sentence):
    response = browser.post(f"{KEYS}add/", fields_for(of_acme, **{name: value}))
    assert list(response.context["adminform"].form.errors) == [name]
    assert sentence in text(response)
    assert not ApiKey.objects.exists()
    assert not Entry.objects.exists()


def test_all_faulty_fields_are_explained_at_once(browser, of_acme):
    faulty = {"name": "", "vendors": "initech", "addresses": "x", "expires_at": "2020-01-01T00:00"}
    response = browser.post(f"{KEYS}add/", fields_for(of_acme, **faulty))
    errors = response.context["adminform"].form.errors
    assert set(errors) == set(faulty)
    assert {len(each) for each in errors.values()} == {1}


def test_an_unknown_vendor_is_explained(browser, make_vendor, make_client):
    make_vendor()
    response = browser.post(f"{KEYS}add/", fields_for(make_client(), vendors="acmee"))
    assert "There is no vendor acmee. Known vendors: acme." in text(response)


def test_a_key_is_rotated(browser, make_key):
    old = make_key()
    page = browser.get(f"{KEYS}{old.key.pk}/change/")
    assert f"{KEYS}{old.key.pk}/rotate/" in page.content.decode()
    assert f"Rotate API key {old.key}?" in text(browser.get(f"{KEYS}{old.key.pk}/rotate/"))
    assert ApiKey.objects.count() == 1
    response = browser.post(f"{KEYS}{old.key.pk}/rotate/", {"overlap": "72"})
    new = key_in(response)
    assert "no-store" in response["Cache-Control"]
    assert is_valid(new)
    assert is_valid(old.text)
    stored = ApiKey.objects.get(pk=old.key.pk)
    assert abs(stored.expires_at - timezone.now() - timedelta(days=3)) < timedelta(minutes=1)
    ends_at = f"{stored.expires_at:%Y-%m-%d %H:%M} UTC"
    assert f"It replaces {old.key} , which is valid until {ends_at}." in text(response)
    assert history() == [
        f"Rotated: {new[:12]} replaces it. Valid until {ends_at}.",
        f"Created in place of {old.key}.",
    ]
    page = text(browser.get(f"{KEYS}{old.key.pk}/change/"))
    assert f"active until {ends_at}, replaced by {new[:12]}" in page
    assert "Rotate" not in page
    again = browser.post(f"{KEYS}{old.key.pk}/rotate/", {"overlap": "24"}, follow=True)
    assert f"{old.key} was rotated before: {new[:12]} replaces it." in text(again)
    assert ApiKey.objects.count() == 2


def test_a_rotation_can_end_the_old_key_at_once(browser, make_key):
    old = make_key()
    new = key_in(browser.post(f"{KEYS}{old.key.pk}/rotate/", {"overlap": "0"}))
    assert [is_valid(old.text), is_valid(new)] == [False, True]


@pytest.mark.parametrize("overlap", ["", "169", "-1", "x"])
def test_another_overlap_is_refused(browser, make_key, overlap):
    old = make_key()
    browser.post(f"{KEYS}{old.key.pk}/rotate/", {"overlap": overlap})
    assert ApiKey.objects.count() == 1


def test_a_key_is_revoked_with_a_reason(browser, make_key):
    issued = make_key()
    page = f"{KEYS}{issued.key.pk}/revoke/"
    assert f"Revoke API key {issued.key}?" in text(browser.get(page))
    assert is_valid(issued.text)
    shown = text(browser.post(page, {"reason": "Leaked in a chat."}, follow=True))
    assert f"API key {issued.key} is revoked: refused within a second." in shown
    assert not is_valid(issued.text)
    assert "Rotate" not in shown
    entry = Entry.objects.get(action="api_key.revoked")
    assert (entry.reason, entry.actor) == ("Leaked in a chat.", "operator")
    assert history() == ["Revoked. Leaked in a chat."]
    assert "was revoked before" in text(browser.post(page, {"reason": ""}, follow=True))
    assert "State: revoked 20" in text(browser.get(f"{KEYS}{issued.key.pk}/change/"))


def test_the_list_shows_state_and_last_use(browser, make_client, make_key):
    client = make_client()
    valid, revoked, expired = make_key(client), make_key(client, name="old"), make_key(client)
    make_key(make_client("crm"))
    issuing.revoke(revoked.key, OPERATOR)
    at = timezone.now()
    ApiKey.objects.filter(pk=expired.key.pk).update(expires_at=at, last_used_at=at)
    page = text(browser.get(f"{KEYS}?client=billing"))
    assert f"{valid.key}… billing nightly import jobs:read active never" in page
    assert f"{revoked.key}… billing old jobs:read revoked {at:%Y-%m-%d}" in page
    moment = f"{at:%Y-%m-%d %H:%M} UTC"
    assert f"{expired.key}… billing nightly import jobs:read expired {moment} {moment}" in page
    assert "crm nightly import" not in page
    ended = browser.get(f"{KEYS}?validity=ended").context["cl"].result_list
    assert {key.pk for key in ended} == {revoked.key.pk, expired.key.pk}
    assert browser.get(f"{KEYS}?validity=valid").context["cl"].result_count == 2


def test_an_unknown_key_is_reported(browser):
    for act in ("rotate", "revoke"):
        page = text(browser.post(f"{KEYS}nobody/{act}/", follow=True))
        assert "There is no such API key." in page


def test_a_request_without_csrf_token_does_nothing(make_key):
    issued = make_key()
    forger = Browser(enforce_csrf_checks=True)
    forger.cookies = sign_in_as_superuser().cookies
    sent = fields_for(issued.key.client)
    assert forger.post(f"{KEYS}add/", sent).status_code == 403
    assert forger.post(f"{KEYS}{issued.key.pk}/rotate/", {"overlap": "0"}).status_code == 403
    assert forger.post(f"{KEYS}{issued.key.pk}/revoke/", {"reason": "x"}).status_code == 403
    assert ApiKey.objects.count() == 1
    assert is_valid(issued.text)


def test_a_key_is_never_changed_or_deleted(browser, make_key):
    issued = make_key()
    before = ApiKey.objects.values().get()
    sent = {"name": "another", "scopes": ["metrics:read"], "post": "yes"}
    for act in ("change", "delete"):
        assert browser.post(f"{KEYS}{issued.key.pk}/{act}/", sent).status_code == 403
    browser.post(
        KEYS, {"action": "delete_selected", "_selected_action": issued.key.pk, "post": "yes"}
    )
    assert ApiKey.objects.values().get() == before


def test_the_front_page_warns_while_anybody_may_call(browser, make_key, settings):
    sentence = "Anyone who reaches this address can post and read jobs."
    settings.ALLOW_ANONYMOUS = True
    page = browser.get("/admin/")
    assert f"{sentence} Create an API key to end that." in text(page)
    assert f'<a href="{KEYS}add/">Create an API key</a>' in page.content.decode()
    settings.ALLOW_ANONYMOUS = False
    assert sentence not in text(browser.get("/admin/"))
    settings.ALLOW_ANONYMOUS = True
    make_key()
    assert sentence not in text(browser.get("/admin/"))
