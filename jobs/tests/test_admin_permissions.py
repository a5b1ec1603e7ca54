"""Nobody sees or does more in the console than the permissions say."""

import pytest
from django.test import Client

from jobs.models import Job
from jobs.tests.console import sign_in
from vendors.models import Vendor

pytestmark = pytest.mark.django_db
JOBS, DELIVERIES, VENDORS = "/admin/jobs/job/", "/admin/jobs/delivery/", "/admin/vendors/vendor/"


@pytest.mark.parametrize("page", [JOBS, DELIVERIES, VENDORS])
def test_a_list_is_for_those_who_may_view_it(client, page):
    assert client.get(page).status_code == 302
    assert sign_in("retry_job", "cancel_job").get(page).status_code == 403


@pytest.mark.parametrize(("action", "status"), [("retry", "failed"), ("cancel", "queued")])
@pytest.mark.parametrize("permissions", [["view_job"], ["retry_job", "cancel_job"], []])
def test_who_may_not_retry_or_cancel_can_not(make_vendor, make_job, action, status, permissions):
    browser, _acme, job = sign_in(*permissions), make_vendor(), make_job(status=status)
    assert browser.get(f"{JOBS}{job.pk}/{action}/").status_code == 403
    assert browser.post(f"{JOBS}{job.pk}/{action}/").status_code == 403
    assert browser.post(f"{JOBS}{action}/", {"ids": job.pk}).status_code == 403
    browser.post(JOBS, {"action": f"{action}_jobs", "_selected_action": job.pk, "index": "0"})
    assert Job.objects.get().status == status


def test_who_may_only_look_at_jobs_sees_no_buttons_and_no_actions(make_vendor, make_job):
    browser, _acme = sign_in("view_job"), make_vendor()
    for status in ("failed", "queued"):
        assert browser.get(f"{JOBS}{make_job(status=status).pk}/change/").context["buttons"] == []
    assert "_jobs" not in browser.get(JOBS).content.decode()


def test_an_action_is_not_run_without_its_permission(make_vendor, make_job):
    browser, _acme, job = sign_in("view_job", "cancel_job"), make_vendor(), make_job(status="failed")
    answer = browser.post(JOBS, {"action": "retry_jobs", "_selected_action": job.pk, "index": "0"}, follow=True)
    assert "Yes, retry" not in answer.content.decode()
    assert browser.post(f"{JOBS}retry/", {"ids": job.pk}).status_code == 403
    assert "retry_jobs" not in browser.get(JOBS).content.decode()


def test_a_forged_request_does_nothing(make_vendor, make_job):
    job, forger = make_job(status="failed", vendor=make_vendor().slug), Client(enforce_csrf_checks=True)
    forger.cookies = sign_in("view_job", "retry_job").cookies
    assert forger.get(f"{JOBS}{job.pk}/retry/").status_code == 200
    assert forger.post(f"{JOBS}{job.pk}/retry/").status_code == 403
    assert forger.post(f"{JOBS}retry/", {"ids": job.pk}).status_code == 403
    assert Job.objects.get().status == "failed"


def test_who_may_only_look_at_vendors_can_neither_edit_nor_pause(make_vendor):
    browser, vendor = sign_in("view_vendor"), make_vendor()
    page = browser.get(f"{VENDORS}{vendor.pk}/change/").content.decode()
    assert "Pause" not in page
    assert 'name="rate_limits"' not in page
    for act in ("pause", "resume", "change", "delete"):
        assert browser.post(f"{VENDORS}{vendor.pk}/{act}/", {"post": "yes"}).status_code == 403
    browser.post(VENDORS, {"action": "pause_vendors", "_selected_action": vendor.pk, "index": "0"})
    assert not Vendor.objects.get().paused
