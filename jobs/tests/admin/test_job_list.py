"""The list of jobs can be searched and filtered, newest first."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from jobs.admin.jobs import rows
from jobs.admin.lists import page
from jobs.api.pagination import first_id_at
from jobs.tests.console import grant, listed, sign_in, sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
JOBS = "/admin/jobs/job/"


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


def test_the_newest_job_comes_first_with_its_status(browser, make_job):
    statuses = ["queued", "processing", "waiting", "complete", "failed", "cancelled"]
    jobs = [make_job(status=status) for status in statuses]
    answer = browser.get(JOBS, {"o": "3"})
    assert listed(answer) == [job.pk for job in reversed(jobs)]
    content = answer.content.decode()
    for status in statuses:
        assert f'<span class="badge badge-{status}">{status}</span>' in content


def test_a_row_shows_what_became_of_the_job(browser, make_job):
    at = first_id_at(timezone.now() - timedelta(hours=3))
    failed = {"status": "failed", "attempt": 3, "error_code": "auth", "error_message": "No."}
    job = make_job(id=at, name="Jane <b>Roe</b>", run=2, **failed)
    shown = text(browser.get(JOBS))
    assert f"{job.pk[-12:]} failed acme Jane <b>Roe</b> 3 h ago 3 run 2 auth No." in shown
    make_job(name="", status="processing", worker="w1")
    assert "processing acme - " in text(browser.get(JOBS))
    assert "on w1" in text(browser.get(JOBS))


def test_filters_can_be_combined_and_removed(browser, make_job, make_vendor):
    make_vendor("acme"), make_vendor("globex")
    make_job(vendor="acme", status="complete"), make_job(vendor="globex", status="failed")
    wanted = make_job(vendor="acme", status="failed", error_code="auth")
    answer = browser.get(JOBS, {"status": "failed", "vendor": "acme", "error_code": "auth"})
    assert listed(answer) == [wanted.pk]
    chips = {chip.label: chip for chip in answer.context["filters"].chips}
    assert (chips["Status"].value, chips["Error"].value) == ("failed", "auth")
    assert chips["Error"].query == "?status=failed&vendor=acme"
    assert len(listed(browser.get(JOBS + chips["Error"].query))) == 1
    assert listed(browser.get(JOBS, {"vendor": "gone"})) == []


@pytest.mark.parametrize(("span", "shown"), [("hour", 1), ("day", 2), ("week", 3)])
def test_jobs_can_be_filtered_by_creation_time(browser, make_job, span, shown):
    for age in (timedelta(minutes=59), timedelta(hours=23), timedelta(days=6), timedelta(days=8)):
        make_job(id=first_id_at(timezone.now() - age))
    assert len(listed(browser.get(JOBS, {"created": span}))) == shown


def test_any_spelling_of_an_id_leads_to_its_job(browser, make_job):
    job = make_job(status="failed")
    make_job()
    spellings = (job.pk, f" {job.pk.upper()} ", job.pk.replace("-", ""), f"…{job.pk[-12:]}")
    for term in spellings:
        answer = browser.get(JOBS, {"q": term, "status": ""})
        assert answer.headers["Location"] == f"{JOBS}{job.pk}/change/"
        assert listed(browser.get(JOBS, {"q": term, "status": "failed"})) == [job.pk]


def test_jobs_are_found_by_the_beginning_of_their_name(browser, make_job):
    for name in ("John Doe", "John Doe\U0010fffe", "john doe", "Jane Doe", "Jo", "A John"):
        make_job(name=name)
    found = browser.get(JOBS, {"q": "John "}).context["page"].rows
    assert {job.name for job in found} == {"John Doe", "John Doe\U0010fffe"}


def test_jobs_are_found_by_their_exact_reference(browser, make_client, make_job):
    make_client("billing")
    ours = make_job(client="billing", reference="order-1", status="failed")
    others = make_job(reference="order-1")
    make_job(reference="order-12"), make_job(reference="Order-1")
    assert listed(browser.get(JOBS, {"q": " order-1 "})) == [others.pk, ours.pk]
    assert listed(browser.get(JOBS, {"q": "order-1", "client": "billing"})) == [ours.pk]
    assert listed(browser.get(JOBS, {"q": "order-1", "status": "failed"})) == [ours.pk]
    named = make_job(name="order-1 of Ann")
    assert listed(browser.get(JOBS, {"q": "order-1"})) == [named.pk, others.pk, ours.pk]


@pytest.mark.sqlite  # about permissions (jobs.tests.console.sign_in_as_superuser)
def test_names_are_masked_and_not_searched_without_the_permission(make_job):
    """Whoever could search by a name could guess it letter by letter."""
    job = make_job(name="Jane Roe", status="failed", error_message="Jane Roe is not known.")
    viewer = sign_in("view_job")
    for answer in (viewer.get(JOBS), viewer.get(f"{JOBS}{job.pk}/change/")):
        assert "Jane" not in answer.content.decode()
    assert listed(viewer.get(JOBS, {"q": "Jane"})) == []
    assert viewer.get(JOBS, {"q": job.pk}).status_code == 302
    grant("view_personal_data")
    assert "Jane Roe" in text(viewer.get(JOBS))
    assert listed(viewer.get(JOBS, {"q": "Jane"})) == [job.pk]


@pytest.mark.parametrize("term", ["%", "_", "\x00", "'", '"', "\U0010ffff", "x" * 5000, "{", "\\"])
def test_odd_search_terms_find_nothing(browser, make_job, term):
    make_job()
    response = browser.get(JOBS, {"q": term})
    assert response.status_code == 200
    assert listed(response) == []


def test_filters_that_are_not_valid_are_named_and_nothing_is_listed(browser, make_job):
    make_job()
    answer = browser.get(JOBS, {"status": "done", "input__icontains": "x"})
    assert listed(answer) == []
    for problem in ("Status: must be one of", "This list has no filter 'input__icontains'."):
        assert problem in text(answer)


def test_a_link_of_an_earlier_release_still_works(browser, make_job):
    failed, _queued = make_job(status="failed"), make_job()
    response = browser.get(JOBS, {"status__exact": "failed", "vendor": "acme"}, follow=True)
    assert response.redirect_chain == [(f"{JOBS}?vendor=acme&status=failed", 302)]
    assert listed(response) == [failed.pk]


@pytest.mark.parametrize("position", ["before", "start", "newest"])
@pytest.mark.parametrize("value", ["0", "-1", "99999999999999999999", "x", "\x00", "²"])
def test_an_odd_position_is_not_an_error(browser, make_job, position, value):
    make_job(batch="b", batch_index=1)
    assert browser.get(JOBS, {position: value}).status_code == 200
    assert browser.get(JOBS, {position: value, "batch": "b"}).status_code == 200


@pytest.mark.parametrize(
    "params", [{}, {"batch": "b"}, {"q": "J"}, {"waiting_over": "1m"}], ids=str
)
def test_older_pages_follow_without_gaps(browser, make_job, monkeypatch, params):
    for module in (page, rows):
        monkeypatch.setattr(module, "PER_PAGE", 3)
    old = datetime(2020, 1, 1, tzinfo=UTC)
    jobs = [
        make_job(
            id=first_id_at(old + timedelta(seconds=index)),
            name="J",
            status="queued" if index % 2 else "waiting",
            started_at=old,
            batch="b",
            batch_index=index,
        )
        for index in range(7)
    ]
    make_job(id=first_id_at(old - timedelta(seconds=1)), name="K", status="failed")
    ids, found, answer = [job.pk for job in jobs][::-1], [], browser.get(JOBS, params)
    total = 7 if params else 8
    is_searched = "waiting_over" in params
    assert ("3 of 7 found" if is_searched else f"1–3 of {total}") in text(answer)
    while True:
        found += listed(answer)
        shown = answer.context["page"]
        if not shown.older:
            break
        query = answer.context["filters"].query(before=shown.older, start=shown.next_first)
        answer = browser.get(JOBS + query)
    assert [pk for pk in found if pk in ids] == ids
    last = "7–8 of 8" if total == 8 else "7–7 of 7"
    assert ("1 found" if is_searched else last) in text(answer)


def test_counts_are_bounded(browser, make_job, monkeypatch):
    monkeypatch.setattr(page, "MAX_COUNTED", 4)
    monkeypatch.setattr(page.Page, "max_count", 4)
    monkeypatch.setattr(rows, "MAX_FOUND", 3)
    for _ in range(5):
        make_job(name="Jane")
    assert browser.get(JOBS).context["page"].count == 4
    assert "1–3 of 3+" in text(browser.get(JOBS, {"q": "Jane"}))


def test_a_filter_without_an_index_searches_a_part_and_can_look_further(
    browser, make_job, monkeypatch
):
    monkeypatch.setattr(page, "WINDOW", 3)
    old = make_job(status="failed", run=2)
    newest = [make_job(status="failed") for _ in range(3)]
    answer = browser.get(JOBS, {"status": "failed", "reruns": "1"})
    assert listed(answer) == []
    assert "0 found among the next 3 jobs, back to" in text(answer)
    further = answer.context["page"].further
    assert further == newest[0].pk
    answer = browser.get(JOBS, {"status": "failed", "reruns": "1", "before": further})
    assert listed(answer) == [old.pk]
    assert "1 found." in text(answer)


def test_a_page_that_is_looked_at_says_how_many_jobs_are_newer(browser, make_job):
    first = make_job(status="failed")
    answer = browser.get(JOBS, {"status": "failed"})
    assert f"newest={first.pk}" in answer.content.decode()
    assert "newer" not in text(answer)
    make_job(status="failed"), make_job()
    answer = browser.get(JOBS, {"status": "failed", "newest": first.pk})
    assert "1 newer" in text(answer)
    assert f"newest={first.pk}" in answer.content.decode(), "as long as the page stays open"


def test_ids_of_the_past_and_the_future_are_listed(browser, make_job):
    for year in (1971, 2999):
        make_job(id=first_id_at(datetime(year, 1, 1, tzinfo=UTC)))
    assert len(listed(browser.get(JOBS))) == 2


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("query", "kinds"),
    [
        ("status=failed", ["retry"]),
        ("error_code=timeout", ["retry"]),
        ("status=cancelled", ["retry"]),
        ("status=queued&vendor=acme", ["cancel"]),
        ("waiting_over=1h", ["cancel"]),
        ("status=complete", []),
        ("status=failed&q=Jane", []),
        ("", []),
    ],
)
def test_all_that_match_can_be_retried_or_cancelled(make_job, query, kinds):
    permissions = ["view_job", "retry_job", "cancel_job", "run_bulkaction", "view_bulkaction"]
    answer = sign_in(*permissions).get(f"{JOBS}?{query}")
    urls = [url for _label, url in answer.context["bulk"]]
    assert [url.partition("?kind=")[2].partition("&")[0] for url in urls] == kinds
    assert all(url.endswith(f"&{query}") for url in urls)


@pytest.mark.sqlite
def test_only_what_can_be_done_to_a_job_on_the_page_is_offered(browser, make_vendor, make_job):
    make_vendor("acme")
    make_job(status="failed")
    assert browser.get(JOBS).context["actions"] == ["retry"]
    make_job(status="queued")
    assert browser.get(JOBS).context["actions"] == ["retry", "cancel"]


@pytest.mark.sqlite
def test_a_reader_who_may_not_search_by_name_is_told_so(make_job):
    make_job(name="Hana")
    shown = text(sign_in("view_job").get(JOBS, {"q": "Hana"}))
    assert "You may not search by name" in shown


@pytest.mark.sqlite
def test_today_is_that_of_the_readers_zone(browser, make_job):
    browser.cookies["console_zone"] = "Asia%2FTokyo"
    job = make_job(id=first_id_at(timezone.now()))
    answer = browser.get(JOBS, {"created": "today"})
    assert listed(answer) == [job.pk]
    assert answer.context["filters"].named("created").shown == "today"
