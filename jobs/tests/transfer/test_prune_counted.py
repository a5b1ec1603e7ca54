"""`manage.py prune` keeps the attempts from which limits would be rebuilt, without their jobs."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from jobs.models import Attempt, Job, Kind
from jobs.recovery.rebuild import rows
from jobs.tests.transfer.old_rows import DAY, make_attempt, run
from jobs.transfer import prune
from jobs.transfer.counted import CountedCalls
from tests.plans import used_indexes
from vendors.models import Limit, Vendor, counted_since

pytestmark = pytest.mark.django_db

PERSONAL = {
    "vendor_reference": "r-1",
    "message": "John is unknown",
    "reply": {"status": 404, "body": "John"},
}
KEPT = "1 attempt kept, which limits still count"


@pytest.fixture
def make_limit():
    def make(slug, **definition):
        return Limit.objects.create(slug=slug, definition=definition)

    return make


def kept():
    return set(Attempt.objects.values_list("pk", flat=True))


def test_counted_attempts_are_kept_without_their_jobs_until_nothing_counts_them(
    make_ended, make_vendor
):
    acme = make_vendor("acme", rate_limits="5/s, 1000/25h")
    make_vendor("globex", rate_limits="10/s, 1/day")
    counted = make_attempt(make_ended(days=1.02).pk, days=1.02, **PERSONAL)
    make_attempt(make_ended(days=1.02, vendor="globex").pk, days=1.02, vendor="globex")
    make_attempt(make_ended(days=1.1).pk, days=1.1)
    assert run("--older-than=1d", "--dry-run") == f"3 jobs would be deleted; {KEPT}.\n"
    assert run("--older-than=1d", "--yes") == f"3 jobs deleted; {KEPT}\n"
    attempt = Attempt.objects.get()
    assert {name: getattr(attempt, name) for name in prune.FORGOTTEN} == prune.FORGOTTEN
    assert PERSONAL.keys() < prune.FORGOTTEN.keys()
    assert run("--older-than=1d", "--yes") == "0 jobs deleted\n"
    assert kept() == {counted.pk}
    acme.rate_limits = "5/s"
    acme.save()
    output = run("--older-than=1d", "--yes")
    assert output == "0 jobs deleted, and 1 attempt and 0 callbacks without a job\n"


def test_calls_without_a_job_and_what_a_crash_left_are_kept_in_the_same_way(make_vendor):
    make_vendor("acme", rate_limits="1000/25h")
    of_crash = make_attempt("gone", days=1.02, kind=Kind.POLL, **PERSONAL)
    by_hand = make_attempt("", days=1.02, kind=Kind.TRY, reply={"body": "John"})
    make_attempt("", days=1.02, units=0)
    run("--older-than=1d", "--yes")
    assert kept() == {of_crash.pk, by_hand.pk}
    assert Attempt.objects.filter(**prune.FORGOTTEN).count() == 2


@pytest.mark.sqlite
def test_shared_limits_count_calls_of_their_vendors_and_of_those_that_have_left(
    make_ended, make_vendor, make_limit
):
    make_limit("team", windows="1000/25h"), make_limit("short", windows="1000/day")
    make_vendor("acme", definition={"limits": ["team", "renamed"]}), make_vendor("globex")
    calls = [("acme", ""), ("globex", ",short,team,"), ("globex", ",short,"), ("gone", ",team,")]
    attempts = [
        make_attempt(make_ended(vendor=vendor).pk, days=1.02, vendor=vendor, limits=limits)
        for vendor, limits in calls
    ]
    run("--older-than=1d", "--yes")
    assert not Job.objects.exists()
    assert kept() == {attempts[0].pk, attempts[1].pk, attempts[3].pk}


@pytest.mark.sqlite
def test_a_quota_keeps_what_its_period_counts(make_vendor, make_limit):
    now = datetime.fromisoformat("2026-03-20T12:00:00Z")
    make_limit("plan", quota={"calls": 9, "period": "month"})
    make_vendor("acme", definition={"limits": ["plan"]}, timeout_seconds=600)
    counted = CountedCalls.before(now - 7 * DAY, now)
    # A poll of a worker that died may have been permitted so much later.
    late = timedelta(seconds=Vendor.objects.get().timeout_seconds + rows.MAX_LATE_SECONDS)
    since = datetime.fromisoformat("2026-02-28T23:59:55Z") - late
    assert since - timedelta(seconds=30) <= counted.vendors["acme"] <= since
    assert counted.vendors["acme"] == counted.limits["plan"]
    assert not CountedCalls.before(now - 21 * DAY, now)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("now", "since"),
    [("22:00:04", "2026-03-28T22:59:55"), ("22:00:06", "2026-03-29T21:59:55")],
)
def test_calls_of_a_period_count_until_it_has_ended_by_every_clock(now, since):
    quota = {"calls": 9, "period": "day", "zone": "Europe/Berlin"}  # a day of 23 hours
    at = datetime.fromisoformat(f"2026-03-29T{now}Z")
    counted = counted_since((), [Limit(definition={"quota": quota})], at)
    assert counted == datetime.fromisoformat(f"{since}Z")


@pytest.mark.sqlite
def test_attempts_are_kept_in_bounded_steps_by_the_index_of_their_jobs(
    make_ended, make_vendor, monkeypatch, django_assert_num_queries
):
    monkeypatch.setattr(prune, "CHUNK", 2)
    make_vendor("acme", rate_limits="1000/25h")
    job = make_ended(days=1.02).pk
    for number in range(5):
        make_attempt(job, days=1.02, number=number)
    steps = prune.Prune(timezone.now() - DAY)
    assert steps.count_kept() == 5
    with django_assert_num_queries(99, exact=False) as queries:
        assert [counts["kept"] for counts in steps.jobs()] == [5]
    of_attempts = [query["sql"] for query in queries if "jobs_attempt" in query["sql"]]
    indexes = [used_indexes(sql) for sql in of_attempts]
    by_id = {"sqlite_autoindex_jobs_attempt_1"}
    assert indexes == [{"attempt_of_job"}, by_id, by_id, by_id, {"attempt_of_job"}]
