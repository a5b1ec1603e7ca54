"""Operators edit the input of a job that failed, and retry it."""

import json

import pytest
from django.utils import timezone

from audit.models import Entry
from audit.record import Actor, record
from jobs.models import Attempt, Job
from jobs.tests.console import sign_in, sign_in_as_superuser, text

pytestmark = pytest.mark.django_db
JOBS = "/admin/jobs/job/"
GIVEN = {"name": "Jane Roe", "email": "jane@example.com", "age": 40}


@pytest.fixture(autouse=True)
def _acme(make_vendor, redis_client):
    make_vendor("acme", required_input="email")


@pytest.fixture
def job(make_job):
    return make_job(status="failed", name="Jane Roe", input=GIVEN, error_code="invalid_input")


def edit(browser, job, **fields):
    return browser.post(f"{JOBS}{job.pk}/edit/", fields, follow=True)


def row(job):
    return Job.objects.values("status", "run", "name", "input", "error_code").get(pk=job.pk)


def test_a_job_is_retried_with_another_input(job, redis_client):
    browser = sign_in_as_superuser()
    assert "Edit and retry" in text(browser.get(f"{JOBS}{job.pk}/change/"))
    form = edit(browser, job)
    assert json.loads(form.context["text"]) == GIVEN
    assert "no-store" in form["Cache-Control"]
    new = {"name": "Jane Doe", "email": "jane@example.com", "city": "Zürich"}
    done = edit(browser, job, input=json.dumps(new), reason="A typo.")
    assert "The job is queued for a new run with the edited input." in text(done)
    assert row(job) == {
        "status": "queued",
        "run": 2,
        "name": "Jane Doe",
        "input": new,
        "error_code": "",
    }
    assert "Edited and retried operator A typo. · name changed, age removed, city added" in text(
        done
    )


def test_the_audit_trail_holds_no_personal_data(job):
    browser = sign_in_as_superuser()
    edit(browser, job)
    edit(browser, job, input=json.dumps({**GIVEN, "email": "new@example.com"}))
    seen, edited = Entry.objects.order_by("id")
    assert (seen.action, edited.action) == ("job.personal_data_seen", "job.edited")
    assert edited.changes == {"input.email": [None, "changed"]}
    assert "example.com" not in str(Entry.objects.values_list())


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("{", "The input is not valid JSON: Expecting property name"),
        ("[1]", "The input is JSON, but not an object"),
        ('{"email": "x", "email": "y"}', "The input"),
        ('{"name": "Jane"}', "email: This vendor requires this field."),
        ('{"email": "x", "name": ""}', "name: This field may not be blank."),
        ('{"email": "x", "name": 1}', "name: Not a valid string."),
    ],
)
def test_an_input_that_its_client_could_not_post_is_refused(job, typed, problem):
    page = edit(sign_in_as_superuser(), job, input=typed)
    assert problem in text(page)
    assert page.context["text"] == typed, "what was typed is not lost"
    assert row(job)["status"] == "failed"


@pytest.mark.parametrize("status", ["queued", "complete"])
def test_only_a_job_that_can_be_retried_can_be_edited(make_job, status):
    job, browser = make_job(status=status, input=GIVEN), sign_in_as_superuser()
    assert "Edit and retry" not in text(browser.get(f"{JOBS}{job.pk}/change/"))
    edit(browser, job, input='{"email": "x"}')
    assert row(job)["input"] == GIVEN
    assert not Entry.objects.exists()


@pytest.mark.sqlite  # about permissions (jobs.tests.console.sign_in_as_superuser)
@pytest.mark.parametrize("missing", ["edit_job", "retry_job", "view_personal_data", "view_job"])
def test_editing_needs_each_of_its_permissions(job, missing):
    needed = {"view_job", "edit_job", "retry_job", "view_personal_data"}
    browser = sign_in(*(needed - {missing}))
    assert edit(browser, job, input='{"email": "x"}').status_code == 403
    assert row(job)["status"] == "failed"
    assert "Jane" not in edit(browser, job).content.decode()


def test_the_name_of_earlier_runs_stays_hidden_however_it_is_spelt(make_job):
    job = make_job(name="Jörg New", run=2, attempt=2, status="failed")
    for run, said in ((1, "refused Old Name"), (2, "refused JÖRG NEW, J%C3%B6rg%20New")):
        fields = {"vendor": "acme", "number": run, "worker": "w1", "outcome": "vendor_error"}
        times = {"started_at": timezone.now(), "ended_at": timezone.now()}
        Attempt.objects.create(job=job.pk, run=run, message=said, **fields, **times)
    record(Actor("alice"), "job.edited", f"job:{job.pk}")
    page_text = text(sign_in("view_job").get(f"/admin/jobs/job/{job.pk}/change/"))
    assert "Old Name" not in page_text
    assert "refused •••••, •••••" in page_text
