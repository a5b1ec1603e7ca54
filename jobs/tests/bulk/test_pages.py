"""The pages of bulk actions in the console."""

import re

import pytest

from audit.models import Entry
from jobs.bulk import actions, plan, step
from jobs.models import BulkAction, Job
from jobs.monitoring.snapshot import monitor
from jobs.tests.bulk.rows import (
    BOB,
    advance_to_the_end,
    change,
    have_a_worker,
    make_failed,
    runs,
    start,
    stored,
)
from jobs.tests.console import sign_in, sign_in_as_superuser, text
from vendors.catalogue import catalogue

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("acme")]
PLAN = "/admin/bulk/plan/?kind=retry&status=failed"
WHY = {"reason": "It was down."}


@pytest.fixture
def acme(make_vendor, redis_client):
    have_a_worker(redis_client)
    monitor.forget()
    return make_vendor("acme", rate_limits="10/s")


@pytest.fixture
def browser():
    return sign_in_as_superuser()


def test_the_plan_says_what_would_be_done_and_does_nothing(browser):
    ids = make_failed(12)
    make_failed(3, error_code="outcome_unknown")
    make_failed(1, error_code="auth", vendor="gone")
    make_failed(1, status="cancelled", error_code="")
    page = browser.get(f"{PLAN}&vendor=")
    said = text(page)
    assert "Retry 15 jobs" in said
    assert "This retries failed jobs" in said
    assert "acme 15 0 1.6 s by 10/s" in said
    assert "timeout 12 A retry may help. The vendor may have done the work already" in said
    assert "1 left out: their vendor no longer exists." in said
    assert "paid twice. (3 of those counted)" in said
    assert f"…{ids[9][-12:]}" in said
    assert f"…{ids[10][-12:]}" not in said
    assert "John" not in said
    assert runs() == [("cancelled", 1)] + [("failed", 1)] * 16


def test_it_starts_what_it_has_shown_and_leads_to_its_progress(browser):
    make_failed(3)
    make_failed(1, error_code="auth")
    answer = browser.post(f"{PLAN}&vendor=acme&error_code=timeout", {**WHY, "per_second": "2.5"})
    action = BulkAction.objects.get()
    assert answer["Location"] == f"/admin/bulk/{action.pk}/"
    assert (action.kind, action.vendor, action.planned, action.per_second) == (
        *("retry", "acme", 3),
        2.5,
    )
    assert (action.actor, action.reason) == ("operator", "It was down.")
    entry = Entry.objects.get(action="bulk.started")
    assert (entry.actor, entry.target, entry.reason, entry.address) == (
        *("operator", f"bulk:{action.pk}", "It was down."),
        "127.0.0.1",
    )
    said = text(browser.get(answer["Location"]))
    assert "Retry failed jobs of acme with the error timeout" in said
    assert "Retried 0 of 3" in said
    BulkAction.objects.update(per_second=None)
    advance_to_the_end()
    said = text(browser.get(answer["Location"]))
    assert "Done: 3 jobs retried." in said
    assert "queued 3 will be called" in said


@pytest.mark.sqlite
def test_jobs_that_a_retry_will_not_help_need_a_tick(browser):
    make_failed(2)
    assert "A retry will not help" not in text(browser.get(PLAN))
    make_failed(1, error_code="invalid_input")
    shown = text(browser.get(PLAN))
    assert "A retry will not help 1 of 3 of them until their input is changed (invalid_inp" in shown
    assert "Retry them all the same" not in shown, "most of them may be helped"
    of_code = f"{PLAN}&error_code=invalid_input"
    assert "Tick the box if you mean it." in text(browser.post(of_code))
    assert not BulkAction.objects.exists()
    browser.post(of_code, {"is_hopeless": "on"})
    assert BulkAction.objects.get().planned == 1


@pytest.mark.sqlite
def test_many_more_jobs_than_the_page_has_shown_are_not_started(browser):
    make_failed(14)
    page = browser.post(PLAN, {"shown": "2"})
    assert "There are more jobs by now: 14, not 2. Look at the plan again." in text(page)
    assert 'name="shown" value="14"' in page.content.decode()
    assert not BulkAction.objects.exists()
    browser.post(PLAN, {"shown": "12"})
    assert BulkAction.objects.get().planned == 14


@pytest.mark.sqlite
def test_many_jobs_need_a_reason(browser):
    make_failed(101)
    page = browser.post(f"{PLAN}&vendor=acme", {"reason": " "})
    assert "More than 100 jobs need a reason." in text(page)
    assert not BulkAction.objects.exists()
    browser.post(f"{PLAN}&vendor=acme", WHY)
    assert BulkAction.objects.get().planned == 101


@pytest.mark.sqlite
def test_jobs_of_several_vendors_make_an_action_each(browser, make_vendor):
    for vendor, count in (("acme", 2), ("globex", 1)):
        make_failed(count, vendor=vendor)
    make_vendor("globex")
    answer = browser.post(PLAN, WHY, follow=True)
    assert "2 bulk actions have started, one for each vendor." in text(answer)
    found = [(each.vendor, each.planned) for each in actions.running()]
    assert sorted(found) == [("acme", 2), ("globex", 1)]
    assert "Retry failed jobs of globex" in text(answer)


def test_counting_stops_but_all_vendors_are_found(browser, make_vendor, monkeypatch):
    monkeypatch.setattr(plan, "MAX_COUNTED", 3)
    make_failed(4)
    make_failed(1, vendor="globex")
    make_vendor("globex")
    said = text(browser.get(PLAN))
    assert "Retry more than 3 jobs" in said
    assert "globex not counted" in said
    browser.post(PLAN, WHY)
    found = [(each.vendor, each.planned, each.planned_is_bound) for each in actions.running()]
    assert sorted(found) == [("acme", 3, True), ("globex", 0, True)]
    for _ in range(3):
        step.advance()
    assert sorted((it.planned, it.done) for it in BulkAction.objects.all()) == [(1, 1), (4, 4)]


def test_a_plan_searches_in_pieces_until_its_time_is_up(browser, make_vendor, monkeypatch):
    ids = make_failed(5)
    Job.objects.filter(pk=ids[3]).update(run=2)
    make_vendor("globex")
    monkeypatch.setattr(plan, "PIECE", 2)
    said = text(browser.get(f"{PLAN}&reruns=1"))
    assert "Retry 1 job" in said
    assert f"…{ids[3][-12:]}" in said
    monkeypatch.setattr(plan, "MAX_SECONDS", -1)
    page = browser.get(f"{PLAN}&reruns=1")
    assert "Retry more than 0 jobs" in text(page)
    assert [each.slug for each in page.context["vendors"]] == ["acme"]
    page = browser.get(f"{PLAN}&reruns=1&vendor=acme")
    assert [each.slug for each in page.context["vendors"]] == ["acme"]


@pytest.mark.sqlite
def test_one_action_of_a_vendor_at_a_time(browser):
    first = start(planned=len(make_failed(1)))
    page = browser.post(f"{PLAN}&vendor=acme", WHY)
    assert "Another bulk action of acme is under way." in text(page)
    assert f"/admin/bulk/{first.pk}/" in page.content.decode()
    assert BulkAction.objects.count() == 1


@pytest.mark.sqlite
def test_the_plan_says_what_holds_the_vendor(browser):
    make_failed(1)
    change(paused=True, pause_reason="We moved.")
    catalogue.forget()
    said = text(browser.get(f"{PLAN}&vendor=acme"))
    assert "acme holds it: Held by a pause of the vendor. We moved." in said


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("kind=retry&status=nonsense", "Status: must be one of"),
        ("kind=retry&status=complete", "Complete jobs can't be retried."),
        ("kind=cancel&status=failed", "Failed jobs can't be cancelled."),
        ("kind=retry&vendor=acme", "There are no failed jobs of acme to retry."),
        ("kind=retry&q=Jane", "A search by name can't be carried out later."),
    ],
)
def test_what_can_not_be_done_is_said(browser, query, sentence):
    page = browser.post(f"/admin/bulk/plan/?{query}", WHY)
    assert sentence in text(page)
    assert not BulkAction.objects.exists()


def test_open_jobs_are_cancelled_by_the_same_pages(browser, make_job):
    for status in ("queued", "waiting", "processing"):
        make_job(status=status)
    said = text(browser.get("/admin/bulk/plan/?kind=cancel&vendor=acme"))
    assert "This cancels jobs of acme" in said
    assert "1 left out: they were being called." in said
    browser.post("/admin/bulk/plan/?kind=cancel&vendor=acme", {})
    advance_to_the_end()
    assert [status for status, _ in runs()] == ["cancelled", "cancelled", "processing"]


def test_it_is_paused_resumed_and_cancelled_on_its_page(browser):
    action = start(planned=len(make_failed(1)))
    url = f"/admin/bulk/{action.pk}/"
    of_vendor = f"/admin/vendors/vendor/{catalogue.get('acme').pk}/change/"
    assert of_vendor in browser.get(url).content.decode()
    buttons = lambda page: re.findall(rf'action="{url}(\w+)/"', page.content.decode())  # noqa: E731
    assert buttons(browser.get(url)) == ["pause", "cancel"]
    assert buttons(browser.post(f"{url}pause/", follow=True)) == ["resume", "cancel"]
    assert stored(action).state == "paused"
    browser.post(f"{url}resume/")
    assert stored(action).state == "running"
    page = browser.post(f"{url}cancel/", follow=True)
    assert "Being cancelled" in text(page)
    step.advance()
    page = browser.post(f"{url}pause/", follow=True)
    assert "Nothing was changed: the bulk action is cancelled." in text(page)
    assert buttons(page) == []
    assert runs() == [("failed", 1)]


@pytest.mark.sqlite
def test_the_page_says_why_it_does_not_go_on(browser, redis_client):
    action = start(planned=len(make_failed(1)))
    BulkAction.objects.update(held_by="acme is disabled.")
    url = f"/admin/bulk/{action.pk}/"
    assert "acme is disabled." in text(browser.get(url))
    assert "held" in text(browser.get("/admin/bulk/"))
    BulkAction.objects.update(choice={"status": "nonsense"}, held_by="It can't go on.")
    assert "It can't go on." in text(browser.get(url))
    redis_client.flushall()
    monitor.forget()
    assert "No worker is running" in text(browser.get(url))


@pytest.mark.sqlite
def test_the_list_has_a_page_of_them_and_links_to_older_ones(browser, monkeypatch):
    monkeypatch.setattr("jobs.admin.bulk.listing.PER_PAGE", 2)
    assert "No bulk actions yet." in text(browser.get("/admin/bulk/"))
    found = [start(planned=0) for _ in range(3)]
    page = browser.get("/admin/bulk/")
    assert [row["action"].pk for row in page.context["rows"]] == [found[2].pk, found[1].pk]
    page = browser.get(f"/admin/bulk/{page.context['older']}")
    assert [row["action"].pk for row in page.context["rows"]] == [found[0].pk]
    assert browser.get("/admin/bulk/?vendor=globex").context["rows"] == []


@pytest.mark.sqlite
def test_each_act_needs_its_permissions():
    action = start(planned=len(make_failed(1)))
    url = f"/admin/bulk/{action.pk}/"
    browser = sign_in("view_job", "view_bulkaction", "retry_job")
    assert '<button type="submit" class="button' not in browser.get(url).content.decode()
    for path in (PLAN, f"{url}pause/", f"{url}cancel/"):
        assert browser.post(path, WHY).status_code == 403
    assert browser.get(f"{url}pause/").status_code == 405
    assert stored(action).state == "running"
    assert BulkAction.objects.count() == 1


@pytest.mark.sqlite
@pytest.mark.parametrize("path", ["00000000-0000-7000-8000-000000000000/", "nonsense/"])
def test_an_unknown_action_is_not_found(browser, path):
    assert browser.get(f"/admin/bulk/{path}").status_code == 404
    assert not actions.cancel(BOB, BulkAction(pk=path[:-1], state="running"))
    assert not Job.objects.exists()
