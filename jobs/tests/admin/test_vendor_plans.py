"""The pages of vendors and of errors read jobs and audit entries by an index, however many."""

from datetime import timedelta

import pytest
from django.utils import timezone

from audit.record import Actor, record
from jobs.models import Span, Tally
from jobs.tallies.counts import Counts
from jobs.tests.console import sign_in_as_superuser
from tests.plans import assert_quick, reads_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def vendor(make_vendor, make_job, redis_client):
    at = timezone.now().replace(second=0, microsecond=0) - timedelta(minutes=1)
    counts = Counts()
    counts.job_codes["timeout"] = 1
    fields = {"vendor": "acme", "span": Span.PART, "at": at, "process": "test"}
    Tally.objects.create(id="acme", counts=counts.as_json(), **fields)
    for status in ("failed", "queued"):
        code = "timeout" if status == "failed" else ""
        make_job(status=status, error_code=code, finished_at=timezone.now())
    record(Actor("alice"), "vendor.tried", "vendor:acme")
    return make_vendor("acme")


@pytest.mark.parametrize("path", ["/admin/errors/", "/admin/errors/?hours=24&vendor=acme"])
def test_examples_of_errors_are_found_by_an_index(vendor, path):
    browser = sign_in_as_superuser()
    browser.get(path)  # fills what a process keeps
    with reads_of("jobs_job") as reads:
        assert browser.get(path).status_code == 200
    assert len(reads) == 2, "the newest and the oldest"
    assert_quick(reads, finds=True)


def test_the_page_of_a_vendor_reads_by_indexes(vendor):
    browser, page = sign_in_as_superuser(), f"/admin/vendors/vendor/{vendor.pk}/change/"
    browser.get(page)
    with reads_of("jobs_job") as of_jobs:
        assert browser.get(page).status_code == 200
    assert len(of_jobs) <= 4, "one list, and two examples; the snapshot may be a second old"
    assert_quick(of_jobs, finds=True)


@pytest.mark.sqlite
def test_the_entries_of_a_vendor_are_read_by_an_index(vendor):
    browser, page = sign_in_as_superuser(), f"/admin/vendors/vendor/{vendor.pk}/change/"
    with reads_of("audit_entry") as reads:
        assert "vendor.tried" in browser.get(page).content.decode()
    assert_quick([read for read in reads if "vendor:acme" in read], finds=True)
