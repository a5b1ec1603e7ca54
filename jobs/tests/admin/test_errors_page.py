"""The page about errors: each vendor and code with counts, an example, and what to do."""

from datetime import timedelta

import pytest
from django.utils import timezone

from jobs.models import Span, Tally
from jobs.tallies.counts import Counts
from jobs.tests.console import listed, sign_in, sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
PAGE = "/admin/errors/"


@pytest.fixture
def tally(db):
    """Return a function that stores what was counted some minutes ago."""

    def store(vendor="acme", minutes_ago=2, **counts):
        at = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes_ago)
        found = Counts()
        for name, value in counts.items():
            if isinstance(value, dict):
                getattr(found, name).update(value)
            else:
                setattr(found, name, value)
        Tally.objects.create(
            id=f"{vendor}|{at:%H%M}|test",
            vendor=vendor,
            span=Span.PART,
            at=at,
            process="test",
            counts=found.as_json(),
        )

    return store


def test_errors_are_counted_by_vendor_and_code(tally, make_vendor, make_job, redis_client):
    make_vendor("acme")
    tally(calls={"error": 7, "found": 93}, call_codes={"timeout": 7}, job_codes={"timeout": 2})
    tally("globex", calls={"error": 1}, call_codes={"blocked": 1}, job_codes={"blocked": 1})
    tally("globex", minutes_ago=90, call_codes={"auth": 5}, calls={"error": 5})
    job = make_job(status="failed", error_code="timeout", finished_at=timezone.now())
    browser = sign_in_as_superuser()
    page = browser.get(PAGE)
    shown = text(page)
    assert "In the last hour, 3 jobs failed, and 8 of 101 calls ended in an error (7.9 %)" in shown
    assert shown.index("acme timeout") < shown.index("globex blocked"), "most failed jobs first"
    assert "raise timeout_seconds" in shown
    assert "A retry may be paid twice." in shown
    assert "auth" not in shown
    html = page.content.decode()
    assert f"/admin/jobs/job/{job.pk}/change/" in html
    assert "?status=failed&amp;vendor=acme&amp;error_code=timeout&amp;ended_after=" in html
    day = text(browser.get(PAGE, {"hours": "24"}))
    assert "auth The vendor refuses our credentials." in day


@pytest.mark.sqlite
def test_a_rows_list_and_plan_have_as_many_jobs_as_its_number(
    tally, make_vendor, make_job, redis_client
):
    make_vendor("acme")
    tally(job_codes={"timeout": 1})
    failed = {"status": "failed", "error_code": "timeout"}
    make_job(**failed, finished_at=timezone.now() - timedelta(hours=2))
    wanted = make_job(**failed, finished_at=timezone.now())
    browser = sign_in_as_superuser()
    [row] = browser.get(PAGE).context["rows"]
    assert listed(browser.get(row["jobs_url"])) == [wanted.pk]
    assert row["group"].example == wanted.pk
    plan = browser.get(row["plan_url"])
    assert "Retry 1 job" in text(plan)
    assert "ended since" in text(plan)


@pytest.mark.sqlite
def test_without_errors_the_page_says_so():
    assert "No errors in the last hour." in text(sign_in_as_superuser().get(PAGE))


@pytest.mark.sqlite
def test_one_vendor_alone(tally):
    tally(call_codes={"timeout": 7}, calls={"error": 7})
    tally("globex", call_codes={"auth": 1}, calls={"error": 1})
    shown = text(sign_in_as_superuser().get(PAGE, {"vendor": "globex"}))
    assert "Errors of globex" in shown
    assert "auth" in shown
    assert "timeout" not in shown


@pytest.mark.sqlite
def test_viewers_see_no_acts(tally, make_vendor, make_job):
    make_vendor("acme")
    tally(job_codes={"timeout": 2}, calls={"error": 2})
    make_job(status="failed", error_code="timeout", finished_at=timezone.now())
    browser = sign_in("view_job")
    html = browser.get(PAGE).content.decode()
    assert "Retry all" not in html
    assert "/admin/vendors/" not in html.partition("<main")[2]


@pytest.mark.sqlite
def test_it_needs_the_permission_to_view_jobs():
    assert sign_in("view_vendor").get(PAGE).status_code == 403


@pytest.mark.sqlite
def test_a_hostile_code_is_shown_as_text(tally):
    tally(call_codes={"<script>alert(1)</script>": 1}, calls={"error": 1})
    html = sign_in_as_superuser().get(PAGE).content.decode()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
