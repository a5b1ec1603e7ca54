"""Users see and do in the console what their permissions allow, and no more."""

import html
import re
from urllib.parse import urljoin

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.utils import timezone

from jobs.models import Attempt, Batch, Callback, Job
from jobs.tests.console import sign_in, sign_in_as_superuser, text
from vendors.models import Vendor

pytestmark = pytest.mark.django_db
JOBS, CALLBACKS, VENDORS = "/admin/jobs/job/", "/admin/jobs/callback/", "/admin/vendors/vendor/"
BATCHES = "/admin/jobs/batch/"


@pytest.mark.parametrize("page", [JOBS, BATCHES, CALLBACKS, VENDORS])
def test_a_list_needs_the_view_permission(client, page):
    assert client.get(page).status_code == 302
    assert sign_in("retry_job", "cancel_job").get(page).status_code == 403


@pytest.mark.parametrize(("action", "status"), [("retry", "failed"), ("cancel", "queued")])
@pytest.mark.parametrize("permissions", [["view_job"], ["retry_job", "cancel_job"], []])
def test_retry_and_cancel_need_their_permissions(
    make_vendor, make_job, action, status, permissions
):
    browser, _acme, job = sign_in(*permissions), make_vendor(), make_job(status=status)
    assert browser.get(f"{JOBS}{job.pk}/{action}/").status_code == 403
    assert browser.post(f"{JOBS}{job.pk}/{action}/").status_code == 403
    assert browser.post(f"{JOBS}{action}/", {"ids": job.pk}).status_code == 403
    assert Job.objects.get().status == status


def test_view_permission_for_jobs_shows_no_buttons_and_no_actions(make_vendor, make_job):
    browser, _acme = sign_in("view_job"), make_vendor()
    for status in ("failed", "queued"):
        assert browser.get(f"{JOBS}{make_job(status=status).pk}/change/").context["acts"] == []
    assert "selected" not in text(browser.get(JOBS))


def test_an_action_needs_its_permission(make_vendor, make_job):
    browser, _acme = sign_in("view_job", "cancel_job"), make_vendor()
    job = make_job(status="failed")
    for fields in ({"ask": "1"}, {}):
        assert browser.post(f"{JOBS}retry/", {"ids": job.pk, **fields}).status_code == 403
    make_job(status="queued")
    page = text(browser.get(JOBS))
    assert ("Retry selected" in page, "Cancel selected" in page) == (False, True)


def test_a_request_without_csrf_token_does_nothing(make_vendor, make_job):
    job, forger = (
        make_job(status="failed", vendor=make_vendor().slug),
        Client(enforce_csrf_checks=True),
    )
    forger.cookies = sign_in("view_job", "retry_job").cookies
    assert forger.get(f"{JOBS}{job.pk}/retry/").status_code == 200
    assert forger.post(f"{JOBS}{job.pk}/retry/").status_code == 403
    assert forger.post(f"{JOBS}retry/", {"ids": job.pk}).status_code == 403
    assert Job.objects.get().status == "failed"


def test_view_permission_for_vendors_allows_no_edits_and_no_pauses(make_vendor):
    browser, vendor = sign_in("view_vendor"), make_vendor()
    page = browser.get(f"{VENDORS}{vendor.pk}/change/").content.decode()
    assert 'name="max_attempts"' not in page
    acts = [f"/admin/vendors/acme/{act}/" for act in ("pause", "resume", "limits", "try")]
    for path in acts:
        assert path not in page
    pages = [f"{VENDORS}{vendor.pk}/{act}/" for act in ("change", "delete")]
    for path in (*acts, *pages, f"{VENDORS}pause-selected/"):
        posted = {"post": "yes", "reason": "x", "ids": vendor.pk}
        assert browser.post(path, posted).status_code == 403
    browser.post(VENDORS, {"action": "pause_vendors", "_selected_action": vendor.pk, "index": "0"})
    assert not Vendor.objects.get().paused


PERMISSIONS = [
    (),
    ("view_job",),
    ("view_vendor",),
    ("view_callback",),
    ("view_batch",),
    ("change_vendor",),
    ("view_job", "retry_job", "cancel_job"),
    ("view_job", "view_callback", "view_batch"),
    ("view_user", "change_user", "view_group", "add_user"),
]


@pytest.mark.parametrize("permissions", PERMISSIONS, ids=lambda names: "+".join(names) or "none")
def test_no_link_leads_to_a_forbidden_page(make_vendor, make_job, permissions, redis_client):
    vendor, batch = make_vendor(), Batch.new("default")
    batch.save(force_insert=True)
    for status, verdict in (
        ("failed", "refused"),
        ("queued", "unmatched"),
        ("processing", "applied"),
    ):
        job = make_job(status=status, started_at=timezone.now(), finished_at=timezone.now())
        Job.objects.filter(pk=job.pk).update(batch=batch.pk, batch_index=Job.objects.count())
        attempt = {
            "number": 1,
            "worker": "w",
            "outcome": "x",
            "started_at": timezone.now(),
            "ended_at": timezone.now(),
        }
        Attempt.objects.create(job=job.pk, vendor="acme", run=1, reply={"status": 500}, **attempt)
        came = {"verdict": verdict, "body_bytes": 2, "received_at": timezone.now()}
        Callback.objects.create(key=status, vendor="acme", job=job.pk, **came)
    Callback.objects.filter(verdict="unmatched").update(job="019a0000-0000-7000-8000-000000000000")
    browser = sign_in(*permissions)
    # Actions from a time when the user had more permissions.
    done = {"action_flag": CHANGE, "change_message": "Paused.", "user": User.objects.get()}
    for row in (vendor, job, done["user"]):
        content_type = ContentType.objects.get_for_model(row)
        LogEntry.objects.create(
            content_type=content_type, object_id=row.pk, object_repr=str(row), **done
        )
    seen, to_see = set(), ["/admin/"]
    while to_see:
        path = to_see.pop()
        seen.add(path)
        page = browser.get(path, follow=True)
        assert page.status_code == 200, path
        assert "doesn’t exist" not in text(page), path
        links = {
            urljoin(path, html.unescape(link))
            for link in re.findall(r'<a [^>]*href="([^"#]+)"', page.content.decode())
        }
        # Each filter of a list, but no combinations.
        new = {
            link
            for link in links
            if link.startswith("/admin/") and not ("?" in link and "?" in path)
        }
        to_see += sorted(new - {*seen, *to_see})
    assert len(seen) >= (3 if permissions else 1)


def test_only_superusers_change_users_and_groups(db):
    browser = sign_in(
        "view_user", "change_user", "add_user", "delete_user", "change_group", "add_group"
    )
    user, group = User.objects.get(), Group.objects.create(name="readers")
    path = f"/admin/auth/user/{user.pk}/"
    assert (
        browser.post(
            f"{path}change/", {"username": "operator", "is_superuser": "on", "is_staff": "on"}
        ).status_code
        == 403
    )
    for page in (
        f"{path}password/",
        f"{path}delete/",
        "/admin/auth/user/add/",
        "/admin/auth/group/add/",
    ):
        assert browser.post(page, {"post": "yes"}).status_code == 403
    assert (
        browser.post(f"/admin/auth/group/{group.pk}/change/", {"name": "readers"}).status_code
        == 403
    )
    assert 'name="is_superuser"' not in browser.get(f"{path}change/").content.decode()
    assert not User.objects.get().is_superuser


def test_a_superuser_changes_users_and_groups(db):
    browser = sign_in_as_superuser()
    added = {
        "username": "other",
        "usable_password": "true",
        "password1": "correct horse",
        "password2": "correct horse",
    }
    browser.post("/admin/auth/user/add/", added)
    browser.post("/admin/auth/group/add/", {"name": "readers"})
    assert User.objects.filter(username="other").exists()
    assert Group.objects.filter(name="readers").exists()


def test_djangos_view_on_site_redirect_is_off(db):
    browser, table = sign_in_as_superuser(), ContentType.objects.get_for_model(User)
    response = browser.get(f"/admin/r/{table.pk}/{User.objects.get().pk}/")
    assert response.status_code == 404
    assert "get_absolute_url" not in text(response)
