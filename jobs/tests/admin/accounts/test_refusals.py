"""A refusal names the permission and the roles that have it, and a refused act is recorded."""

import re

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client, RequestFactory
from django.urls import URLPattern, get_resolver

from audit.models import Entry
from enrichlabs.web.security_policy import POLICY
from jobs.admin.access import Forbidden, requires
from jobs.admin.accounts import refusals
from jobs.tests.console import grant, sign_in, text
from users import roles

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]
JOB = "/admin/jobs/job/019a0000-0000-7000-8000-000000000001"


@pytest.fixture(autouse=True)
def no_earlier_refusals(monkeypatch):
    monkeypatch.setattr(refusals, "_recorded", refusals._Recorded())


@pytest.fixture
def viewer():
    roles.create_missing()
    browser = sign_in()
    User.objects.get().groups.add(Group.objects.get(name="viewer"))
    return browser


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (
            "/admin/audit/",
            "You may not view audit entries. That needs the permission audit.view_entry , which "
            "the roles operator and administrator have. Ask a superuser",
        ),
        (
            "/admin/vendors/vendor/add/",
            "You may not add vendors. That needs the permission vendors.add_vendor , which the "
            "role administrator has.",
        ),
        (
            "/admin/auth/user/add/",
            "You may not add users. That needs the permission auth.add_user . Ask a superuser",
        ),
    ],
)
def test_the_page_names_the_permission_and_the_roles(viewer, path, sentence):
    response = viewer.get(path)
    assert response.status_code == 403
    assert response["Content-Security-Policy"] == POLICY
    assert sentence in text(response)
    assert not Entry.objects.exists(), "looking is no act"


def test_a_refused_act_is_recorded(viewer):
    assert viewer.post("/admin/vendors/vendor/add/", {"slug": "acme"}).status_code == 403
    entry = Entry.objects.get()
    assert (entry.actor, entry.action, entry.target, entry.address) == (
        *("operator", "access.refused", "page:/admin/vendors/vendor/add/"),
        "127.0.0.1",
    )
    assert entry.reason == "It needs the permission vendors.add_vendor."


def test_whoever_tries_everything_does_not_fill_the_trail(viewer, caplog):
    for _ in range(refusals.MAX_RECORDED + 5):
        viewer.post("/admin/vendors/vendor/add/")
    assert Entry.objects.count() == refusals.MAX_RECORDED
    assert "too many for the audit trail" in caplog.text


def patterns(resolver, prefix=""):
    for each in resolver.url_patterns:
        path = f"{prefix}{each.pattern}"
        yield from [path] if isinstance(each, URLPattern) else patterns(each, path)


OWN = ("login", "logout", "password_change")  # what every user may post


def test_a_viewer_can_do_nothing_by_posting_to_any_page(viewer, make_vendor, make_job):
    vendor, job = make_vendor(), make_job(status="failed")
    found = {path for path in patterns(get_resolver()) if path.startswith("admin/")}
    paths = {
        re.sub("<[^>]+>", vendor.slug if "slug" in path else key, path)
        for path in found
        for key in (vendor.pk, job.pk)
        if not re.search(rf"{'|'.join(OWN)}|[(^$]", path)
    }
    assert len(paths) > 40
    answers = {path: viewer.post(f"/{path}", {"post": "yes"}).status_code for path in paths}
    assert max(answers.values()) < 500, answers
    assert set(Entry.objects.values_list("action", flat=True)) == {"access.refused"}
    vendor.refresh_from_db(), job.refresh_from_db()
    assert (vendor.paused, job.status) == (False, "failed")


def test_a_view_may_need_several_permissions():
    @requires("jobs.view_job", "jobs.retry_job")
    def view(request):
        return "done"

    sign_in("view_job")
    request = RequestFactory().post("/")
    request.user = User.objects.get()
    with pytest.raises(Forbidden, match="jobs.retry_job"):
        view(request)
    grant("retry_job")
    request.user = User.objects.get()
    assert view(request) == "done"


def test_a_form_that_was_open_too_long_is_no_refused_act():
    browser = Client(enforce_csrf_checks=True)
    browser.cookies = sign_in("view_job").cookies
    response = browser.post(f"{JOB}/retry/")
    assert "the form was open for too long" in text(response)
    assert not Entry.objects.exists()
