"""An operator retries and cancels jobs in the console: asked first, only what is possible, only who
may, and on record.
"""

import pytest
from django.contrib.admin.models import LogEntry

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


def select(browser, action, jobs, path=JOBS, **extra):
    """Choose an action for jobs of the list, as far as the page that asks."""
    return browser.post(
        path,
        {"action": action, "_selected_action": [job.pk for job in jobs], "index": "0", **extra},
    )


def confirm(browser, page):
    """Press the button of the page that asks."""
    ids = " ".join(job.pk for job in page.context["possible"])
    return browser.post(page.context["act_url"], {"ids": ids}, follow=True)


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
def test_only_what_is_possible_is_offered(browser, make_job, status, offered):
    page = browser.get(f"{JOBS}{make_job(status=status).pk}/change/")
    assert [name for name, _url in page.context["buttons"]] == offered


def test_a_job_of_a_vendor_that_is_gone_is_not_retried(browser, make_job):
    job = make_job(vendor="gone", status="failed")
    assert browser.get(f"{JOBS}{job.pk}/change/").context["buttons"] == []
    told = text(browser.post(f"{JOBS}{job.pk}/retry/", follow=True))
    assert "0 retried, 1 skipped: 1 is of a vendor that no longer exists." in told
    assert status_of(job) == ("failed", 1)


def test_a_job_is_retried_after_a_question(browser, make_job, redis_client):
    job = make_job(status="failed", attempt=3, error_code="vendor_rejected", name="Jane Roe")
    [(_name, url)] = browser.get(f"{JOBS}{job.pk}/change/").context["buttons"]
    question = browser.get(url)
    assert "Retry this job?" in text(question)
    assert f"{job.pk} failed acme Jane Roe" in text(question)
    assert status_of(job) == ("failed", 1)
    done = browser.post(url, follow=True)
    assert done.redirect_chain[-1][0] == f"{JOBS}{job.pk}/change/"
    assert "1 retried." in text(done)
    assert status_of(job) == ("queued", 2)
    assert [fields["job"] for _id, fields in redis_client.xrange(Keys("acme").retries)] == [job.pk]


def test_cancelling_a_waiting_job_frees_its_slot(browser, make_job, redis_client):
    job = make_job(status="waiting")
    redis_client.zadd(Keys("acme").in_flight, {job.pk: 1})
    assert "1 cancelled." in text(browser.post(f"{JOBS}{job.pk}/cancel/", follow=True))
    assert status_of(job) == ("cancelled", 1)
    assert redis_client.zcard(Keys("acme").in_flight) == 0


def test_jobs_of_the_list_are_retried_together(browser, make_job):
    jobs = [
        make_job(status=status)
        for status in ("failed", "failed", "cancelled", "processing", "complete", "complete")
    ]
    question = select(browser, "retry_jobs", jobs)
    assert "Retry 3 jobs?" in text(question)
    assert "3 can't be retried now: 2 are complete, 1 is processing." in text(question)
    assert "3 retried." in text(confirm(browser, question))
    assert [status_of(job) for job in jobs[:3]] == [("queued", 2)] * 3
    assert [status_of(job) for job in jobs[3:]] == [
        ("processing", 1),
        ("complete", 1),
        ("complete", 1),
    ]


def test_a_job_that_moved_on_after_the_question_is_skipped(browser, make_job):
    jobs = [make_job(status="queued"), make_job(status="waiting")]
    question = select(browser, "cancel_jobs", jobs)
    Job.objects.filter(pk=jobs[0].pk).update(status="processing")
    assert "1 cancelled, 1 skipped: 1 is processing." in text(confirm(browser, question))
    assert status_of(jobs[0]) == ("processing", 1)


def test_where_nothing_is_possible_nothing_is_asked(browser, make_job):
    question = select(browser, "cancel_jobs", [make_job(status="complete")])
    assert "There is nothing to cancel here. 1 can't be cancelled now: 1 is complete." in text(
        question
    )
    assert "Yes, cancel" not in question.content.decode()


def test_the_list_comes_back_as_it_was_filtered(browser, make_job):
    jobs = [make_job(status="failed"), make_job(status="failed")]
    page = select(browser, "retry_jobs", jobs[:1], f"{JOBS}?status__exact=failed&vendor=acme")
    assert listed(confirm(browser, page)) == [jobs[1].pk]


def test_all_that_a_filter_finds_are_taken_up_to_a_bound(browser, make_job, monkeypatch):
    for module in ("listing", "actions", "confirming"):
        monkeypatch.setattr(f"jobs.admin.{module}.MAX_LISTED", 12)
    jobs = [make_job(status="failed") for _ in range(15)]
    question = select(browser, "retry_jobs", jobs[:1], select_across="1")
    assert "Retry 12 jobs?" in text(question)
    assert "and 2 more" in text(question)
    assert "These are the first 12 of the list." in text(question)
    assert "12 retried." in text(confirm(browser, question))
    assert [status_of(job)[0] for job in jobs[:3]] == ["failed"] * 3


def test_no_more_than_the_bound_is_done_at_once(browser, make_job, monkeypatch):
    monkeypatch.setattr("jobs.admin.actions.MAX_LISTED", 2)
    ids = " ".join(make_job(status="failed").pk for _ in range(3))
    assert "2 retried." in text(browser.post(f"{JOBS}retry/", {"ids": ids}, follow=True))


def test_who_did_it_is_on_record(browser, make_job):
    jobs = [make_job(status="failed"), make_job(status="failed"), make_job(status="complete")]
    browser.post(f"{JOBS}retry/", {"ids": " ".join(job.pk for job in jobs)})
    entries = LogEntry.objects.order_by("object_id")
    assert [
        (entry.object_id, entry.user.username, entry.get_change_message()) for entry in entries
    ] == [(job.pk, "operator", "Retried.") for job in jobs[:2]]
    assert "Retried." in text(browser.get(f"{JOBS}{jobs[0].pk}/history/"))


def test_to_look_changes_nothing(browser, make_job):
    job = make_job(status="failed")
    assert browser.get(f"{JOBS}{job.pk}/retry/").status_code == 200
    assert browser.get(f"{JOBS}retry/", {"ids": job.pk}).status_code == 302
    assert status_of(job) == ("failed", 1)


@pytest.mark.parametrize(
    "ids", ["", "x", "019a0000-0000-7000-8000-000000000000", "\x00", "%" * 2000]
)
def test_odd_ids_are_no_error(browser, ids):
    assert "There is no such job." in text(browser.post(f"{JOBS}retry/", {"ids": ids}, follow=True))


def test_with_redis_away_a_retry_is_kept(browser, make_job, settings):
    job = make_job(status="failed")
    settings.REDIS_URL = "unix:///nowhere/valkey.sock"
    hints.cache_clear()
    assert "1 retried." in text(browser.post(f"{JOBS}{job.pk}/retry/", follow=True))
    assert status_of(job) == ("queued", 2)
