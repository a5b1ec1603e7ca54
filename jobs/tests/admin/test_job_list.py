"""The list of jobs can be searched and filtered, newest first."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from jobs.admin import listing
from jobs.api.pagination import first_id_at
from jobs.tests.console import listed, sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
JOBS = "/admin/jobs/job/"


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


@pytest.mark.parametrize(
    "status", ["queued", "processing", "waiting", "complete", "failed", "cancelled"]
)
def test_each_status_has_its_badge(browser, make_job, status):
    make_job(status=status)
    assert (
        f'<span class="badge badge-{status}">{status}</span>' in browser.get(JOBS).content.decode()
    )


@pytest.mark.parametrize("column", range(8))
def test_the_newest_job_comes_first_with_any_order_parameter(browser, make_job, column):
    jobs = [make_job(name=name) for name in "bac"]
    assert listed(browser.get(JOBS, {"o": column})) == [job.pk for job in reversed(jobs)]


def test_a_row_shows_status_age_attempts_and_error(browser, make_job):
    an_hour_ago = first_id_at(timezone.now() - timedelta(hours=1, minutes=5))
    job = make_job(
        id=an_hour_ago, name="Jane Roe", status="failed", attempt=3, error_code="vendor_rejected"
    )
    assert f"{job.pk} failed default acme Jane Roe 1 h 3 vendor_rejected" in text(browser.get(JOBS))


def test_a_job_without_a_name_has_a_dash_instead(browser, make_job, make_vendor):
    make_vendor("acme")
    job = make_job(id=first_id_at(timezone.now() - timedelta(minutes=65)), name="", status="failed")
    assert f"{job.pk} failed default acme - 1 h 0" in text(browser.get(JOBS))
    page = text(browser.get(f"{JOBS}{job.pk}/change/"))
    assert "Vendor: acme Client" in page
    confirmed = browser.post(JOBS, {"action": "retry", "_selected_action": [job.pk]}, follow=True)
    assert f"{job.pk} failed default acme - " in text(confirmed)


def test_filters_can_be_combined(browser, make_job, make_vendor):
    make_vendor("acme"), make_vendor("globex")
    make_job(vendor="acme", status="complete"), make_job(vendor="globex", status="failed")
    wanted = make_job(vendor="acme", status="failed")
    assert listed(browser.get(JOBS, {"status__exact": "failed", "vendor": "acme"})) == [wanted.pk]
    assert len(listed(browser.get(JOBS, {"status__exact": "failed"}))) == 2
    assert len(listed(browser.get(JOBS, {"vendor": "acme"}))) == 2


@pytest.mark.parametrize(("span", "shown"), [("hour", 1), ("day", 2), ("week", 3), ("nonsense", 4)])
def test_jobs_can_be_filtered_by_creation_time(browser, make_job, span, shown):
    for age in (timedelta(minutes=59), timedelta(hours=23), timedelta(days=6), timedelta(days=8)):
        make_job(id=first_id_at(timezone.now() - age))
    assert len(listed(browser.get(JOBS, {"created": span}))) == shown


def test_the_vendor_filter_lists_existing_vendors(browser, make_vendor, make_job):
    make_vendor("globex"), make_job(vendor="deleted-long-ago")
    page = browser.get(JOBS).content.decode()
    assert "?vendor=globex" in page
    assert "?vendor=deleted-long-ago" not in page


def test_a_job_is_found_by_any_spelling_of_its_id(browser, make_job):
    job = make_job()
    make_job()
    for term in (job.pk, f" {job.pk.upper()} ", job.pk.replace("-", "")):
        assert listed(browser.get(JOBS, {"q": term})) == [job.pk]


def test_jobs_are_found_by_the_beginning_of_their_name(browser, make_job):
    for name in ("John Doe", "John Doe\U0010fffe", "john doe", "Jane Doe", "Jo", "A John"):
        make_job(name=name)
    found = browser.get(JOBS, {"q": "John "}).context["cl"].result_list
    assert [job.name for job in found] == ["John Doe", "John Doe\U0010fffe"]


def test_jobs_are_found_by_their_exact_reference(browser, make_client, make_job):
    make_client("billing")
    ours = make_job(client="billing", reference="order-1", status="failed")
    others = make_job(reference="order-1")
    make_job(reference="order-12"), make_job(reference="Order-1")
    assert listed(browser.get(JOBS, {"q": " order-1 "})) == [others.pk, ours.pk]
    assert listed(browser.get(JOBS, {"q": "order-1", "client": "billing"})) == [ours.pk]
    assert listed(browser.get(JOBS, {"q": "order-1", "status__exact": "failed"})) == [ours.pk]


def test_a_search_finds_references_beside_names_and_ids(browser, make_job):
    named = make_job(name="order-1 of Ann")
    referred = make_job(reference="order-1")
    assert listed(browser.get(JOBS, {"q": "order-1"})) == [referred.pk, named.pk]
    by_id = make_job(reference=named.pk)
    assert listed(browser.get(JOBS, {"q": named.pk})) == [by_id.pk, named.pk]


def test_jobs_can_be_filtered_by_client(browser, make_client, make_job):
    make_client("default"), make_client("billing")
    make_job()
    wanted = make_job(client="billing")
    response = browser.get(JOBS, {"client": "billing"})
    assert listed(response) == [wanted.pk]
    assert f"{wanted.pk} queued billing acme" in text(response)
    assert "client=default" in response.content.decode()


@pytest.mark.parametrize("term", ["%", "_", "\x00", "'", '"', "\U0010ffff", "x" * 5000, "{", "\\"])
def test_odd_search_terms_find_nothing(browser, make_job, term):
    make_job()
    response = browser.get(JOBS, {"q": term})
    assert response.status_code == 200
    assert "\x00" in term or listed(response) == []


@pytest.mark.parametrize(
    "lookup", ["input__icontains", "name__contains", "error_message", "status__in", "run_token"]
)
def test_unknown_filters_in_the_url_are_removed(browser, make_job, lookup):
    job = make_job()
    response = browser.get(JOBS, {lookup: "x", "q": "John"}, follow=True)
    assert response.redirect_chain == [(f"{JOBS}?q=John", 302)]
    assert f"This list has no filter '{lookup}'." in text(response)
    assert listed(response) == [job.pk]


def test_status_in_the_url_is_an_alias(browser, make_job):
    failed, _queued = make_job(status="failed"), make_job()
    response = browser.get(JOBS, {"status": "failed", "vendor": "acme"}, follow=True)
    assert response.redirect_chain == [(f"{JOBS}?vendor=acme&status__exact=failed", 302)]
    assert listed(response) == [failed.pk]


@pytest.mark.parametrize("page", ["0", "-1", "99999999999999999999", "x"])
def test_an_invalid_page_number_is_not_an_error(browser, make_job, monkeypatch, page):
    monkeypatch.setattr("jobs.admin.job.JobAdmin.list_per_page", 1)
    make_job(), make_job()
    assert browser.get(JOBS, {"p": page}, follow=True).status_code == 200


def test_a_truncated_list_links_to_older_jobs(browser, make_job, monkeypatch):
    monkeypatch.setattr(listing, "MAX_LISTED", 4)
    monkeypatch.setattr("jobs.admin.job.JobAdmin.list_per_page", 2)
    ids = [make_job().pk for _ in range(7)][::-1]
    last = browser.get(JOBS, {"p": "2"})
    assert listed(last) == ids[2:4]
    assert "First 4 jobs; show older than this page" in text(last)
    older = browser.get(JOBS + last.context["cl"].older)
    assert listed(older) == ids[4:6]
    assert "3 jobs" in text(older)


def test_ids_of_the_past_and_the_future_are_listed(browser, make_job):
    for year in (1971, 2999):
        make_job(id=first_id_at(datetime(year, 1, 1, tzinfo=UTC)))
    assert len(listed(browser.get(JOBS))) == 2
