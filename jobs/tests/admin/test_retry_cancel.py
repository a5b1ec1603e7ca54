"""Operators retry and cancel jobs in the console: if possible and permitted, confirmed, logged."""

from datetime import UTC, datetime

import pytest

from audit.models import Entry
from audit.record import record
from jobs.models import Job
from jobs.queue.keys import Keys
from jobs.queue.redis import hints
from jobs.tests.console import listed, sign_in, text

pytestmark = pytest.mark.django_db
JOBS = "/admin/jobs/job/"


@pytest.fixture(autouse=True)
def _acme(make_vendor, redis_client):
    make_vendor("acme")


@pytest.fixture
def browser(db):
    return sign_in("view_job", "retry_job", "cancel_job")


def status_of(job):
    return Job.objects.values_list("status", "run").get(pk=job.pk)


def select(browser, action, jobs, back=""):
    """Choose an action for jobs of the list; return the page that asks for confirmation."""
    ids = [job.pk for job in jobs]
    return browser.post(f"{JOBS}{action}/", {"ask": "1", "ids": ids, "back": back})


def confirm(browser, page, **fields):
    """Press the button of the confirmation page."""
    ids = " ".join(job.pk for job in page.context["possible"])
    fields |= {"ids": ids, "back": page.context["back"]}
    return browser.post(page.context["act_url"], fields, follow=True)


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("queued", ["cancel"]),
        ("processing", []),
        ("waiting", ["cancel"]),
        ("complete", []),
        ("failed", ["retry"]),
        ("cancelled", ["retry"]),
    ],
)
def test_only_possible_actions_are_offered(browser, make_job, status, offered):
    page = browser.get(f"{JOBS}{make_job(status=status).pk}/change/")
    assert [action.name for action in page.context["acts"]] == offered


def test_a_job_of_a_deleted_vendor_is_not_retried(browser, make_job):
    job = make_job(vendor="gone", status="failed")
    assert browser.get(f"{JOBS}{job.pk}/change/").context["acts"] == []
    page_text = text(browser.post(f"{JOBS}{job.pk}/retry/", follow=True))
    assert "0 jobs retried, 1 skipped: 1 belongs to a vendor that no longer exists." in page_text
    assert status_of(job) == ("failed", 1)


def test_a_job_is_retried_after_confirmation(browser, make_job, redis_client):
    job = make_job(status="failed", attempt=3, error_code="vendor_rejected", name="Jane Roe")
    url = f"{JOBS}{job.pk}/retry/"
    assert f'href="{url}"' in browser.get(f"{JOBS}{job.pk}/change/").content.decode()
    confirmation = browser.get(url)
    assert "Retry this job?" in text(confirmation)
    assert f"{job.pk} failed acme ••••• vendor_rejected" in text(confirmation)
    assert status_of(job) == ("failed", 1)
    done = browser.post(url, follow=True)
    assert done.redirect_chain[-1][0] == f"{JOBS}{job.pk}/change/"
    assert "1 job retried." in text(done)
    assert status_of(job) == ("queued", 2)
    assert [fields["job"] for _id, fields in redis_client.xrange(Keys("acme").retries)] == [job.pk]


def test_the_timeline_keeps_the_end_of_a_run_that_was_retried(browser, make_job):
    ended_at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    job = make_job(status="failed", finished_at=ended_at)
    browser.post(f"{JOBS}{job.pk}/retry/")
    page_text = text(browser.get(f"{JOBS}{job.pk}/change/"))
    assert "2026-01-31 12:00:00 UTC Finished failed" in page_text


def test_cancelling_a_waiting_job_frees_its_slot(browser, make_job, redis_client):
    job = make_job(status="waiting")
    redis_client.zadd(Keys("acme").in_flight, {job.pk: 1})
    assert "1 job cancelled." in text(browser.post(f"{JOBS}{job.pk}/cancel/", follow=True))
    assert status_of(job) == ("cancelled", 1)
    assert redis_client.zcard(Keys("acme").in_flight) == 0


def test_selected_jobs_are_retried_together(browser, make_job):
    jobs = [
        make_job(status=status)
        for status in ("failed", "failed", "cancelled", "processing", "complete", "complete")
    ]
    confirmation = select(browser, "retry", jobs)
    assert "Retry 3 jobs?" in text(confirmation)
    assert "3 jobs can't be retried: 2 are complete, 1 is processing." in text(confirmation)
    assert "3 jobs retried." in text(confirm(browser, confirmation))
    assert [status_of(job) for job in jobs[:3]] == [("queued", 2)] * 3
    assert [status_of(job) for job in jobs[3:]] == [
        ("processing", 1),
        ("complete", 1),
        ("complete", 1),
    ]


def test_a_job_that_moved_on_before_confirmation_is_skipped(browser, make_job):
    jobs = [make_job(status="queued"), make_job(status="waiting")]
    confirmation = select(browser, "cancel", jobs)
    Job.objects.filter(pk=jobs[0].pk).update(status="processing")
    assert "1 job cancelled, 1 skipped: 1 is processing." in text(confirm(browser, confirmation))
    assert status_of(jobs[0]) == ("processing", 1)


def test_an_impossible_action_cannot_be_confirmed(browser, make_job):
    confirmation = select(browser, "cancel", [make_job(status="complete")])
    assert "No selected job can be cancelled. 1 job can't be cancelled: 1 is complete." in text(
        confirmation
    )
    assert "Yes, cancel" not in confirmation.content.decode()


def test_confirming_returns_to_the_filtered_list(browser, make_job):
    jobs = [make_job(status="failed"), make_job(status="failed")]
    page = select(browser, "retry", jobs[:1], "?status=failed&vendor=acme")
    assert listed(confirm(browser, page)) == [jobs[1].pk]


def test_many_jobs_are_counted_and_the_first_named(browser, make_job):
    confirmation = select(browser, "retry", [make_job(status="failed") for _ in range(12)])
    assert "Retry 12 jobs?" in text(confirmation)
    assert "and 2 more" in text(confirmation)


@pytest.mark.parametrize(("code", "warns"), [("timeout", True), ("auth", False), ("", False)])
def test_a_retry_that_may_be_paid_twice_says_so(browser, make_job, code, warns):
    page = browser.get(f"{JOBS}{make_job(status='failed', error_code=code).pk}/retry/")
    assert ("may have done the work already, and charge for it again." in text(page)) is warns


def test_posted_ids_are_bounded(browser, make_job, monkeypatch):
    monkeypatch.setattr("jobs.admin.jobs.acts.MAX_JOBS", 2)
    ids = " ".join(make_job(status="failed").pk for _ in range(3))
    page_text = text(browser.post(f"{JOBS}retry/", {"ids": ids}, follow=True))
    assert "2 jobs retried." in page_text
    assert "Only the first 2 of 3 jobs are taken at once." in page_text


def test_the_audit_trail_records_the_operator_and_the_reason(browser, make_job):
    jobs = [make_job(status="failed"), make_job(status="failed"), make_job(status="complete")]
    confirm(browser, select(browser, "retry", jobs), reason=" It is mended. ")
    entries = Entry.objects.order_by("target").values_list("target", "actor", "action", "reason")
    assert list(entries) == [
        (f"job:{job.pk}", "operator", "job.retried", "It is mended.") for job in jobs[:2]
    ]
    assert "Retried operator It is mended." in text(browser.get(f"{JOBS}{jobs[0].pk}/change/"))


@pytest.mark.parametrize("action", ["retry", "cancel"])
def test_no_job_is_moved_without_an_entry(browser, make_job, monkeypatch, action):
    """Jobs are moved in pieces, each with its entries. Here the process ends in the second one."""
    monkeypatch.setattr("jobs.admin.jobs.acts.CHUNK", 2)
    before = {"retry": "failed", "cancel": "queued"}[action]
    ids, written = [make_job(status=before).pk for _ in range(4)], []

    def crashing(actor, action, target, *args, **more):
        written.append(target)
        if len(written) == 4:
            raise SystemExit
        return record(actor, action, target, *args, **more)

    monkeypatch.setattr("jobs.admin.jobs.acts.record", crashing)
    with pytest.raises(SystemExit):
        browser.post(f"{JOBS}{action}/", {"ids": " ".join(ids)})
    moved = {f"job:{pk}" for pk in Job.objects.exclude(status=before).values_list("pk", flat=True)}
    assert len(moved) == 2
    assert moved <= set(Entry.objects.values_list("target", flat=True))


def test_get_changes_nothing(browser, make_job):
    job = make_job(status="failed")
    assert browser.get(f"{JOBS}{job.pk}/retry/").status_code == 200
    assert browser.get(f"{JOBS}retry/", {"ids": job.pk}).status_code == 302
    assert status_of(job) == ("failed", 1)


@pytest.mark.parametrize(
    "ids", ["", "x", "019a0000-0000-7000-8000-000000000000", "\x00", "%" * 2000]
)
def test_odd_ids_are_not_an_error(browser, ids):
    assert "No such job." in text(browser.post(f"{JOBS}retry/", {"ids": ids}, follow=True))


def test_a_retry_works_without_redis(browser, make_job, settings):
    job = make_job(status="failed")
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    hints.cache_clear()
    assert "1 job retried." in text(browser.post(f"{JOBS}{job.pk}/retry/", follow=True))
    assert status_of(job) == ("queued", 2)
