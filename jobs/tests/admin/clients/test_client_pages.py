"""Operators create, change and delete clients in the console."""

import pytest
from django.contrib.admin.models import LogEntry

from audit.models import Entry
from clients.models import Client
from jobs.tests.console import sign_in, sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
CLIENTS = "/admin/clients/client/"
FIELDS = {"slug": "billing", "name": "Billing", "enabled": "on", "vendors": "", "note": ""}


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


@pytest.fixture
def acme_and_taken(make_vendor, make_client):
    """A vendor and a client with these slugs."""
    make_vendor(), make_client("taken")


def page_of(client):
    return f"{CLIENTS}{client.pk}/change/"


def change(browser, client, **fields):
    """Send the form of the client's page with these fields changed."""
    form = browser.get(page_of(client)).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    hidden = {f"initial-{name}": value for name, value in values.items()}
    sent = {**hidden, **values, **fields}
    kept = {name: value for name, value in sent.items() if value not in (None, False)}
    return browser.post(page_of(client), kept, follow=True)


def test_a_client_is_created(browser, make_vendor):
    make_vendor()
    sent = {**FIELDS, "vendors": "acme", "request_limits": "50/s, 1000/min"}
    assert "was added successfully" in text(browser.post(f"{CLIENTS}add/", sent, follow=True))
    client = Client.objects.get()
    assert (client.slug, client.vendors, client.enabled) == ("billing", "acme", True)
    entry = Entry.objects.get()
    assert (entry.action, entry.target, entry.actor) == (
        "client.created",
        "client:billing",
        "operator",
    )
    assert entry.address == "127.0.0.1"
    assert entry.changes["request_limits"] == [None, "50/s, 1000/min"]
    listed = text(browser.get(CLIENTS))
    assert "billing Billing" in listed
    assert "acme 50/s, 1000/min" in listed


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("slug", "Billing", "Use only lower-case letters, digits, - and _"),
        ("slug", "taken", "Client with this Slug already exists."),
        ("vendors", "acme, acmee", "There is no vendor acmee. Known vendors: acme."),
        ("request_limits", "50", "'50' is not a valid rate limit."),
        ("request_limits", "0/s", "To stop a client, disable it."),
    ],
)
@pytest.mark.usefixtures("acme_and_taken")
def test_a_faulty_field_is_explained_beside_it(browser, name, value, sentence):
    response = browser.post(f"{CLIENTS}add/", {**FIELDS, name: value})
    assert [sentence in error for error in response.context["adminform"].form.errors[name]]
    assert sentence in text(response)
    assert Client.objects.count() == 1
    assert not Entry.objects.exists()


def test_a_change_is_recorded_with_old_and_new_values(browser, make_client):
    client = make_client(request_limits="5/s")
    assert "was changed successfully" in text(
        change(browser, client, enabled=None, request_limits="9/s")
    )
    client.refresh_from_db()
    assert (client.enabled, client.request_limits) == (False, "9/s")
    entry = Entry.objects.get()
    assert entry.action == "client.changed"
    assert entry.changes == {"enabled": [True, False], "request_limits": ["5/s", "9/s"]}
    [history] = LogEntry.objects.all()
    assert history.get_change_message() == (
        "Changed enabled: True → False; request_limits: '5/s' → '9/s'."
    )


def test_the_slug_stays(browser, make_client):
    client = make_client()
    assert 'name="slug"' not in browser.get(page_of(client)).content.decode()
    change(browser, client, slug="accounts", note="Ask Ann.")
    client.refresh_from_db()
    assert (client.slug, client.note) == ("billing", "Ask Ann.")


def test_anothers_change_of_another_field_stays(browser, make_client):
    client = make_client(note="old")
    form = browser.get(page_of(client)).context["adminform"].form
    shown = {name: form[name].value() or "" for name in form.fields}
    Client.objects.update(enabled=False)
    hidden = {f"initial-{name}": value for name, value in shown.items()}
    browser.post(page_of(client), {**hidden, **shown, "note": "new"})
    client.refresh_from_db()
    assert (client.enabled, client.note) == (False, "new")


def delete(browser, client):
    return text(browser.post(f"{CLIENTS}{client.pk}/delete/", {"post": "yes"}, follow=True))


def test_a_client_without_jobs_and_keys_can_be_deleted(browser, make_client):
    client = make_client()
    delete(browser, client)
    assert not Client.objects.exists()
    assert Entry.objects.get().action == "client.deleted"


def test_a_client_with_jobs_or_keys_stays(browser, make_client, make_key, make_job):
    busy, holder = make_client(), make_client("crm")
    make_key(holder), make_job(client="billing")
    for client, reason in ((busy, "has jobs"), (holder, "has API keys, which stay on record")):
        sentence = f"Client {client} {reason}. Disable it instead."
        assert sentence in delete(browser, client)
    assert Client.objects.count() == 2
    assert not Entry.objects.filter(action="client.deleted").exists()


def test_the_client_default_stays(browser, make_client):
    assert "Client default stays" in delete(browser, make_client("default"))
    assert Client.objects.exists()


def test_deleting_is_offered_for_clients_that_can_be_deleted(
    browser, make_client, make_key, make_job
):
    default, busy, holder = make_client("default"), make_client(), make_client("crm")
    make_job(client="billing"), make_key(holder)
    for client in (default, busy, holder):
        assert 'class="deletelink"' not in browser.get(page_of(client)).content.decode()
    assert 'class="deletelink"' in browser.get(page_of(make_client("new"))).content.decode()


def test_selected_clients_can_not_be_deleted(browser, make_client):
    client = make_client()
    assert "delete_selected" not in browser.get(CLIENTS).content.decode()
    selected = {"action": "delete_selected", "_selected_action": client.pk, "post": "yes"}
    browser.post(CLIENTS, selected, follow=True)
    assert Client.objects.exists()


def test_a_client_leads_to_its_keys(browser, make_client, make_key):
    client = make_client()
    make_key(client), make_key(client)
    page = browser.get(page_of(client))
    assert "2 keys" in text(page)
    assert "/admin/clients/apikey/?client=billing" in page.content.decode()
    assert f"/admin/clients/apikey/add/?client={client.pk}" in page.content.decode()


@pytest.mark.sqlite
def test_view_permission_changes_nothing(make_client):
    browser, client = sign_in("view_client"), make_client()
    page = browser.get(page_of(client)).content.decode()
    assert 'name="enabled"' not in page
    assert "apikey" not in page
    for act in ("change", "delete"):
        assert browser.post(f"{CLIENTS}{client.pk}/{act}/", {"post": "yes"}).status_code == 403
    assert browser.post(f"{CLIENTS}add/", FIELDS).status_code == 403
    assert Client.objects.count() == 1


@pytest.mark.sqlite
@pytest.mark.parametrize("page", ["", "add/"])
def test_other_permissions_do_not_show_clients(page):
    assert sign_in("view_vendor", "view_job").get(f"{CLIENTS}{page}").status_code == 403


def test_a_list_can_not_be_filtered_by_the_keys_of_a_client(browser, make_client, make_key):
    issued = make_key(make_client())
    for lookup in ("api_keys__digest__startswith", "api_keys__public", "note__startswith"):
        response = browser.get(f"{CLIENTS}?{lookup}={issued.key.digest[:1]}")
        assert response.status_code == 400
