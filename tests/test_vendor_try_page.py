"""Operators try a vendor on its page: they see the request, then the answer. Nothing is kept."""

import pytest
from django.db import OperationalError

from audit.models import Entry
from harness.vendor.scripted import Answer
from jobs.models import Attempt, Job, Kind
from jobs.tests.console import sign_in, sign_in_as_superuser, text
from vendors.models import Credential

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/admin/vendors/acme/try/"
INPUT = '{"id": "p 1", "name": "John Doe"}'
KEY = "VENDOR_ACME_KEY"


@pytest.fixture
def acme(make_vendor, vendor_server, redis_client, monkeypatch):
    monkeypatch.setenv(KEY, "k3y-secret")
    Credential.objects.create(slug="acme", definition={"header": "X-Api-Key", "keys_env": [KEY]})
    definition = {
        "credential": "acme",
        "input": {"id": "required", "name": "optional"},
        "json": {"who": "{input.name}"},
        "result": "body",
    }
    url = f"POST {vendor_server.url}people/{{input.id}}"
    return make_vendor("acme", adapter="http", url=url, definition=definition)


def test_the_request_is_shown_without_a_call(acme, vendor_server):
    browser = sign_in_as_superuser()
    assert '{"id": "..."}' in text(browser.get(PAGE))
    page = browser.post(PAGE, {"input": INPUT, "act": "show"})
    shown = text(page)
    assert f"POST {vendor_server.url}people/p%201" in shown
    assert '{"who": "John Doe"}' in shown
    assert "X-Api-Key: ***" in shown
    assert "k3y" not in page.content.decode()
    assert not vendor_server.arrivals
    assert not Attempt.objects.exists()
    assert not Entry.objects.exists()


def test_a_call_shows_answer_outcome_and_what_cleaning_removed(acme, vendor_server):
    answer = {"name": "John", "ids": [{"ssn": "123-45"}], "echo": "k3y-secret"}
    vendor_server.answer = lambda _: Answer(body=answer)
    page = sign_in_as_superuser().post(PAGE, {"input": INPUT, "act": "call"})
    shown = text(page)
    assert "found after" in shown
    assert "ids[0].ssn" in shown
    assert '"name": "John"' in shown
    assert "123-45" not in shown
    assert "k3y-secret" not in shown
    assert "no-store" in page["Cache-Control"]
    assert [row.kind for row in Attempt.objects.all()] == [Kind.TRY]
    assert not Job.objects.exists()
    before, after = Entry.objects.order_by("id")
    for entry in (before, after):
        assert (entry.action, entry.target) == ("vendor.tried", "vendor:acme")
        assert entry.actor == "operator"
    assert before.changes == {"outcome": [None, "under way"]}
    assert after.changes == {"outcome": ["under way", "found"]}


@pytest.mark.sqlite
def test_without_an_entry_no_call_is_made(acme, vendor_server, monkeypatch):
    def record(*args, **kwargs):
        raise OperationalError("database is locked")

    monkeypatch.setattr("jobs.admin.vendors.page.trying.record", record)
    browser = sign_in_as_superuser()
    browser.raise_request_exception = False
    assert browser.post(PAGE, {"input": INPUT, "act": "call"}).status_code == 503
    assert not vendor_server.arrivals


@pytest.mark.sqlite
def test_an_answer_is_hidden_from_those_who_may_not_see_personal_data(acme, vendor_server):
    vendor_server.answer = lambda _: Answer(body={"name": "Jane Roe"})
    browser = sign_in("try_vendor", "view_vendor")
    page = browser.post(PAGE, {"input": INPUT, "act": "call"})
    assert "found after" in text(page)
    assert "Jane Roe" not in page.content.decode()
    assert "needs the permission view_personal_data" in text(page)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("{", "The input is not valid JSON"),
        ("[]", "The input must be a JSON object"),
        ("{}", "The input: id: This vendor requires this field"),
    ],
)
@pytest.mark.parametrize("act", ["show", "call"])
def test_a_faulty_input_is_refused(acme, vendor_server, given, sentence, act):
    page = sign_in_as_superuser().post(PAGE, {"input": given, "act": act})
    assert sentence in text(page)
    assert not vendor_server.arrivals


@pytest.mark.sqlite
def test_trying_needs_its_permission(acme):
    browser = sign_in("view_vendor", "change_vendor")
    for act in (browser.get, browser.post):
        assert act(PAGE).status_code == 403
