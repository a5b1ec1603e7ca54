"""The console lists batches, and shows the items of one."""

import pytest

from jobs.models import Batch, Job, RefusedItem
from jobs.tests.console import listed, sign_in, sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
BATCHES, JOBS = "/admin/jobs/batch/", "/admin/jobs/job/"


@pytest.fixture
def browser(db):
    return sign_in_as_superuser()


@pytest.fixture
def make_batch(make_job):
    """Return a function that makes a batch with three jobs."""

    def make(client="default", reference="", statuses=("failed", "complete", "failed"), **fields):
        batch = Batch.new(client, reference)
        for name, value in {"state": "running", **fields}.items():
            setattr(batch, name, value)
        batch.save(force_insert=True)
        for index, status in enumerate(statuses):
            make_job(batch=batch.pk, batch_index=index, status=status)
        return batch

    return make


def test_the_newest_batch_comes_first(browser, make_batch):
    first, second = make_batch(reference="monday"), make_batch(state="finished")
    page = browser.get(BATCHES)
    assert listed(page) == [second.pk, first.pk]
    row = f"{first.pk[-12:]} running default monday {first.created_at:%Y-%m-%d %H:%M:%S}"
    assert row in text(page)


@pytest.mark.parametrize(
    "params",
    [{"state": "running"}, {"client": "billing"}, {"q": "monday"}, {"q": "ID"}],
    ids=str,
)
def test_batches_can_be_filtered_and_searched(browser, make_batch, make_client, params):
    make_client("billing")
    make_batch(state="finished")
    wanted = make_batch("billing", "monday")
    params = {name: value.replace("ID", wanted.pk.upper()) for name, value in params.items()}
    assert listed(browser.get(BATCHES, params, follow=True)) == [wanted.pk]


def test_a_batch_shows_its_counts_and_refused_items(browser, make_batch, monkeypatch):
    monkeypatch.setattr("jobs.admin.batches.page.MAX_REFUSED", 2)
    batch = make_batch(cut_short=True, cancel_requested_at=None)
    for index in (3, 4, 5):
        detail = f"<b>Item {index}</b> is too large."
        item = RefusedItem.new(batch.pk, index, 413, "too_large", detail)
        item.errors = [{"pointer": "/name"}] if index == 4 else None
        item.save(force_insert=True)
    page = text(browser.get(f"{BATCHES}{batch.pk}/change/"))
    assert "running 3 of 3 jobs are final. Nobody continued its upload for 24 hours" in page
    for shown in ("complete 1", "failed 2", "queued 0", "refused 3", "The first 2 of 3."):
        assert shown in page
    assert "3 too_large <b>Item 3</b> is too large. 4 too_large /name" in page
    assert browser.post(f"{BATCHES}{batch.pk}/change/", {}).status_code == 403


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"state": "receiving"}, "receiving 0 of 0 jobs are final. More items may come."),
        ({"cancel": True}, "running 0 of 0 jobs are final. Its jobs are being cancelled."),
        ({"retry": True}, "running 0 of 0 jobs are final. Its failed jobs are being retried."),
    ],
    ids=str,
)
def test_the_state_of_a_batch_says_what_happens(browser, make_batch, fields, sentence):
    batch = make_batch(statuses=())
    times = {"cancel": "cancel_requested_at", "retry": "retry_requested_at"}
    changes = {times.get(name, name): value for name, value in fields.items()}
    changes = {
        name: batch.created_at if value is True else value for name, value in changes.items()
    }
    Batch.objects.update(**changes)
    assert sentence in text(browser.get(f"{BATCHES}{batch.pk}/change/"))


@pytest.mark.sqlite  # about permissions (jobs.tests.console.sign_in_as_superuser)
def test_what_failed_of_a_batch_can_be_retried(make_batch):
    batch = make_batch()
    browser = sign_in("view_batch", "view_job", "retry_job", "run_bulkaction")
    [(label, url)] = browser.get(f"{BATCHES}{batch.pk}/change/").context["bulk"]
    assert (label, url.partition("?")[2]) == (
        "Retry what failed…",
        f"kind=retry&status=failed&batch={batch.pk}",
    )


def batch_jobs(batch):
    return Job.of_batch(batch.pk).order_by("batch_index")


@pytest.mark.sqlite  # about permissions (jobs.tests.console.sign_in_as_superuser)
def test_pages_link_to_what_the_user_may_view(make_batch):
    batch = make_batch()
    job = batch_jobs(batch).first()
    job_page, batch_page = f"{JOBS}{job.pk}/change/", f"{BATCHES}{batch.pk}/change/"
    to_jobs = f"{JOBS}?batch={batch.pk}"
    sees_all = sign_in("view_job", "view_batch")
    assert to_jobs in sees_all.get(batch_page).content.decode()
    assert f'href="{batch_page}"' in sees_all.get(job_page).content.decode()
    Batch.objects.all().delete()
    page = sees_all.get(job_page)
    assert f'href="{batch_page}"' not in page.content.decode()
    assert f"Batch item 0 of {batch.pk}" in text(page)
