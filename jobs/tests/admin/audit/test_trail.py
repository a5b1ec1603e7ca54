"""The audit trail: a list with filters, the same as CSV, and nothing that changes an entry."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.utils import timezone

from audit.models import AppendOnlyError, Entry
from audit.record import Actor, record
from jobs.admin.audit import export, pages
from jobs.api.pagination import first_id_at
from jobs.tests.console import grant, sign_in, sign_in_as_superuser, text
from tests.plans import assert_quick, reads_of

pytestmark = pytest.mark.django_db
TRAIL, CSV = "/admin/audit/", "/admin/audit.csv"
ID = "019a0000-0000-7000-8000-000000000001"
ANN, BOB = Actor("ann", "192.0.2.1"), Actor("bob")


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


@pytest.fixture
def entries():
    record(ANN, "vendor.paused", "vendor:acme", {"until": [None, "2026"]}, reason="They moved.")
    record(BOB, "vendor.resumed", "vendor:acme")
    record(ANN, "job.retried", f"job:{ID}")
    record(ANN, "api_key.revoked", "api_key:AbCd1234")


def shown(browser, **query):
    return [row.entry.action for row in browser.get(TRAIL, query).context["rows"]]


@pytest.mark.usefixtures("entries")
@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ({}, ["api_key.revoked", "job.retried", "vendor.resumed", "vendor.paused"]),
        ({"target": "vendor:acme"}, ["vendor.resumed", "vendor.paused"]),
        ({"target": "acme", "actor": "ann"}, ["vendor.paused"]),
        ({"target": ID.upper()}, ["job.retried"]),
        ({"target": "elk_AbCd1234"}, ["api_key.revoked"]),
        ({"actor": "bob"}, ["vendor.resumed"]),
        ({"actor": "ann", "action": "job.retried"}, ["job.retried"]),
        ({"since": "2099-01-01T00:00"}, []),
        ({"until": "2020-01-01"}, []),
        ({"actor": "nobody"}, []),
        ({"actor": "bob", "since": "soon"}, ["vendor.resumed"]),
    ],
    ids=str,
)
def test_the_list_shows_what_matches_newest_first(browser, query, actions):
    assert shown(browser, **query) == actions


@pytest.mark.usefixtures("entries")
def test_an_entry_says_who_did_what_to_what_from_where_and_why(browser, make_vendor):
    vendor = make_vendor()
    page = browser.get(TRAIL, {"action": "vendor.paused"})
    assert "ann 192.0.2.1 paused a vendor vendor acme They moved. until: – → 2026" in text(page)
    assert f'href="/admin/vendors/vendor/{vendor.pk}/change/"' in page.content.decode()
    assert "Write a time such as" in text(browser.get(TRAIL, {"since": "soon"}))


def test_pages_follow_each_other(browser, monkeypatch):
    monkeypatch.setattr(pages, "PER_PAGE", 2)
    for number in range(5):
        record(ANN, f"act.{number}", "vendor:acme")
    seen, query = [], "actor=ann"
    while query:
        context = browser.get(f"{TRAIL}?{query}").context
        seen += [row.entry.action for row in context["rows"]]
        query = context["older"]
    assert seen == [f"act.{number}" for number in (4, 3, 2, 1, 0)]


@pytest.mark.usefixtures("entries")
def test_the_csv_has_all_that_match_and_no_formulas(browser, monkeypatch):
    monkeypatch.setattr(export, "CHUNK", 2)
    record(Actor("=HYPERLINK(1)"), "vendor.paused", "vendor:ü", {"a": [1, "x,y"]}, reason="-1")
    response = browser.get(CSV)
    assert "attachment" in response["Content-Disposition"]
    rows = list(csv.DictReader(StringIO(b"".join(response.streaming_content).decode())))
    assert [row["actor"] for row in rows] == ["'=HYPERLINK(1)", "ann", "ann", "bob", "ann"]
    assert (rows[0]["reason"], rows[0]["target"]) == ("'-1", "vendor:ü")
    assert (rows[0]["address"], rows[0]["bulk_action"]) == ("", "")
    assert [export._safe(text)[0] for text in ("＝1", " =1", "\n1")] == ["'"] * 3
    assert rows[0]["changes"] == '{"a": [1, "x,y"]}'
    filtered = b"".join(browser.get(CSV, {"actor": "bob"}).streaming_content).decode()
    assert len(filtered.splitlines()) == 2


def test_the_csv_ends_somewhere(browser, monkeypatch):
    monkeypatch.setattr(export, "MAX_ROWS", 3)
    for _ in range(5):
        record(ANN, "vendor.paused", "vendor:acme")
    assert len(b"".join(browser.get(CSV).streaming_content).splitlines()) == 4


@pytest.mark.sqlite
def test_the_trail_can_be_read_only_and_with_its_permission(db):
    browser = sign_in("view_job")
    assert [browser.get(path).status_code for path in (TRAIL, CSV)] == [403, 403]
    grant("view_entry")
    assert [browser.get(path).status_code for path in (TRAIL, CSV)] == [200, 200]
    assert [browser.post(path).status_code for path in (TRAIL, CSV)] == [405, 405]


def test_hostile_names_are_text(browser):
    hostile = '"><img src=x onerror=alert(1)>'
    record(Actor(hostile), hostile[:50], f"user:{hostile}", {hostile: [hostile, hostile]})
    page = browser.get(TRAIL).content.decode()
    assert "<img" not in page
    assert browser.get(TRAIL, {"target": hostile, "actor": "\0", "before": hostile})


def test_nothing_changes_or_deletes_an_entry():
    record(ANN, "vendor.paused", "vendor:acme")
    entry = Entry.objects.get()
    for act in (
        entry.save,
        entry.delete,
        Entry.objects.all().delete,
        lambda: Entry.objects.update(actor="bob"),
    ):
        with pytest.raises(AppendOnlyError):
            act()
    assert Entry.objects.get().actor == "ann"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"actor": "ann"},
        {"action": "vendor.paused"},
        {"actor": "ann", "action": "vendor.paused"},
        {"target": "vendor:acme"},
        {"target": "vendor:acme", "actor": "ann"},
        {"since": "2020-01-01", "until": "2099-01-01"},
        {
            "actor": "ann",
            "since": "2020-01-01",
            "before": first_id_at(datetime(2099, 1, 1, tzinfo=UTC)),
        },
    ],
    ids=str,
)
@pytest.mark.usefixtures("entries")
def test_the_trail_is_read_by_an_index(browser, query):
    with reads_of("audit_") as found:
        assert browser.get(TRAIL, query).status_code == 200
    assert len(found) == 1
    assert_quick(found, finds=False)


def test_times_are_bounds_of_ids(browser):
    record(ANN, "vendor.paused", "vendor:acme")
    now = timezone.now()
    hour, soon = now - timedelta(hours=1), now + timedelta(hours=1)
    assert shown(browser, since=f"{hour:%Y-%m-%dT%H:%M}", until=f"{soon:%Y-%m-%dT%H:%M}")
    assert not shown(browser, until=f"{hour:%Y-%m-%dT%H:%M}")
