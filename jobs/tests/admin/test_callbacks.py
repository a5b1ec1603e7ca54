"""The list of callbacks shows each callback and its verdict."""

from datetime import UTC, datetime, timedelta

import pytest

from audit.models import Entry
from jobs.models import Callback, Job
from jobs.tests.console import listed, sign_in, sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
CALLBACKS = "/admin/jobs/callback/"
NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


@pytest.fixture
def make_callback(make_job):
    def make(**fields):
        number = Callback.objects.count()
        given = {
            "vendor": "acme",
            "body": {"name": "Jane Roe"},
            "body_bytes": 20,
            "received_at": NOON + timedelta(seconds=number),
        }
        return Callback.objects.create(key=str(number), **{"job": make_job().pk, **given, **fields})

    return make


def test_the_newest_callback_comes_first(browser, make_callback):
    ids = [make_callback(verdict="late").pk for _ in range(3)][::-1]
    assert (
        listed(browser.get(CALLBACKS)) == listed(browser.get(CALLBACKS, {"verdict": "late"})) == ids
    )


@pytest.mark.parametrize("verdict", ["applied", "polled", "late", "unmatched", "refused", ""])
def test_callbacks_can_be_filtered_by_verdict(browser, make_callback, verdict):
    for other in ("applied", "polled", "late", "unmatched", "refused", ""):
        make_callback(verdict=other)
    found = browser.get(CALLBACKS, {"verdict": verdict or "none"})
    assert [callback.verdict for callback in found.context["page"].rows] == [verdict]
    assert (verdict or "not yet applied") in text(found)


@pytest.mark.parametrize("params", [{"verdict": "late"}, {"verdict": "late", "vendor": "acme"}])
def test_older_callbacks_follow_without_gaps(browser, make_callback, monkeypatch, params):
    monkeypatch.setattr("jobs.admin.lists.simple.PER_PAGE", 2)
    monkeypatch.setattr("jobs.admin.lists.page.PER_PAGE", 2)
    monkeypatch.setattr("jobs.admin.lists.page.WINDOW", 3)
    verdicts = ["late", "late", "applied", "applied", "applied", "late", "late"]
    made = [make_callback(verdict=verdict) for verdict in verdicts]
    late = [callback.pk for callback in made if callback.verdict == "late"]
    found, position = [], {}
    for _ in range(5):
        answer = browser.get(CALLBACKS, {**params, **position})
        found += listed(answer)
        page = answer.context["page"]
        position = {"before": page.older or page.further}
        if not position["before"]:
            break
    assert found == late[::-1]


def test_callbacks_can_be_found_by_vendor_and_by_job(browser, make_callback, make_vendor):
    make_vendor("globex")
    make_callback()
    wanted = make_callback(vendor="globex")
    assert listed(browser.get(CALLBACKS, {"vendor": "globex"})) == [wanted.pk]
    assert listed(browser.get(CALLBACKS, {"q": f" {wanted.job.upper()} "})) == [wanted.pk]


def test_a_callback_can_be_found_by_its_reference_before_it_has_a_job(
    browser, make_callback, make_vendor
):
    make_vendor()
    make_callback()
    wanted = make_callback(job="", vendor_reference="Ref-1", verdict="unmatched")
    assert listed(browser.get(CALLBACKS, {"q": "Ref-1"})) == [wanted.pk]
    assert "Ref-1" in text(browser.get(f"{CALLBACKS}{wanted.pk}/change/"))


def test_the_body_is_shown_on_request_and_that_is_recorded(browser, make_callback):
    callback = make_callback(body={"name": "<b>Jane Roe</b>"}, verdict="late")
    url = f"{CALLBACKS}{callback.pk}/"
    assert "Jane" not in browser.get(f"{url}change/").content.decode()
    shown = browser.post(f"{url}show/")
    assert '{ "name": "<b>Jane Roe</b>" }' in text(shown)
    assert "no-store" in shown["Cache-Control"]
    entry = Entry.objects.get()
    assert (entry.action, entry.target) == ("callback.body_seen", f"callback:{callback.pk}")
    assert browser.post(f"{url}change/", {}).status_code == 403, "nothing can be changed"


def test_a_callback_whose_job_is_not_known_shows_its_reference(browser, make_callback):
    callback = make_callback(job="", vendor_reference="ref-1")
    assert "not yet applied acme –" in text(browser.get(CALLBACKS))
    page = text(browser.get(f"{CALLBACKS}{callback.pk}/change/"))
    assert "Job not known yet Vendor's reference ref-1" in page


def test_a_late_callback_can_be_applied_again(browser, make_callback, make_vendor, make_job):
    make_vendor()
    fields = {"status": "failed", "error_code": "callback_overdue", "attempt": 1}
    job = make_job(**fields, finished_at=NOON)
    answers = {"job": job.pk, "run": 1, "attempt": 1, "verdict": "late"}
    callback = make_callback(**answers, body={"city": "Zurich"})
    url = f"{CALLBACKS}{callback.pk}/"
    assert "Apply again" in text(browser.get(f"{url}change/"))
    assert "The callback is applied." in text(browser.post(f"{url}apply/", follow=True))
    assert Job.objects.values_list("status").get(pk=job.pk) == ("complete",)
    entry = Entry.objects.get()
    assert (entry.action, entry.changes) == ("callback.applied", {"verdict": ["late", "applied"]})
    assert "Apply again" not in text(browser.get(f"{url}change/"))
    assert "It changed nothing." in text(browser.post(f"{url}apply/", follow=True))
    assert Entry.objects.count() == 1


@pytest.mark.sqlite  # about permissions (jobs.tests.console.sign_in_as_superuser)
def test_the_body_and_applying_again_need_their_permissions(make_callback):
    url, viewer = f"{CALLBACKS}{make_callback().pk}/", sign_in("view_callback")
    assert viewer.get(f"{url}change/").status_code == 200
    assert [viewer.post(f"{url}{act}/").status_code for act in ("show", "apply")] == [403, 403]
