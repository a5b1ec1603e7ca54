"""Few of many callbacks are kept: per run of a job, and per vendor for unknown jobs."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.db.models import Sum

from jobs.callbacks import caps, receive
from jobs.models import Callback, Job, Verdict
from tests.counting import asking_the_store
from tests.plans import assert_quick, reads_of
from vendors.models import Vendor
from webhooks.tests.signing import signed

PICKY = "adapters.callbacks.Picky"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def body(number, size=20):
    return json.dumps({"name": number, "more": "x" * size}).encode()


def receive_for_unknown_job(vendor, number):
    job_id = str(uuid.uuid4())
    return receive.receive(vendor, job_id, (1, 1), webhook_id="", body=body(number), now=NOW)


def post_for_unknown_job(post, body):
    return post(str(uuid.uuid4()), "", body=body, **signed(body, message=str(uuid.uuid4())))


def kept(**conditions):
    rows = Callback.objects.filter(**conditions)
    return rows.exclude(verdict__in=[Verdict.APPLIED, Verdict.REFUSED]).count()


def test_of_a_thousand_bodies_for_one_token_twenty_are_kept_and_the_rest_counted(job, post):
    answers = [post(job, body=body(number)) for number in range(1000)]
    assert [answer.json()["status"] for answer in answers] == ["applied"] + ["late"] * 999
    assert kept() == caps.MAX_PER_RUN
    # Two more: the callback that was applied, and the row that counts.
    assert Callback.objects.count() == caps.MAX_PER_RUN + 2
    counted = Callback.objects.get(verdict=Verdict.REFUSED)
    assert (counted.reason, counted.body) == ("too_many_callbacks", None)
    assert Job.objects.get().result["name"] == 0


def test_of_large_bodies_five_mebibytes_are_kept(job, post):
    for number in range(12):
        assert post(job, body=body(number, size=1_000_000)).status_code == 200
    assert kept() == caps.MAX_BYTES_PER_RUN // 1_000_000
    total = Callback.objects.aggregate(all=Sum("body_bytes"))["all"]
    assert total < caps.MAX_BYTES_PER_RUN + 3_000_000


def test_the_callback_that_ends_the_job_is_accepted_however_many_came_before(
    make_vendor, make_job, post
):
    make_vendor(adapter=PICKY)
    job = make_job(status="waiting", attempt=1)
    answers = [post(job, body=json.dumps({"surname": number}).encode()) for number in range(30)]
    assert {answer.status_code for answer in answers[:20]} == {200}
    refused = answers[-1]
    assert (refused.status_code, refused["Retry-After"]) == (429, "60")
    assert refused.json()["code"] == "too_many_callbacks"
    assert kept(verdict=Verdict.UNREADABLE) == caps.MAX_PER_RUN
    assert post(job).json() == {"status": "applied"}
    assert Job.objects.get().status == "complete"


def test_each_run_has_its_own_cap(job, post):
    for number in range(30):
        post(job, body=body(number))
    Job.objects.update(run=2, status="waiting", result=None)
    late = post(job, body=body(0, size=21))  # for the first run, which is full
    assert late.json() == {"status": "late"}
    assert kept(run=1) == caps.MAX_PER_RUN


def test_a_repeat_of_a_kept_callback_takes_no_room(job, post):
    for number in range(25):
        post(job, body=body(number))
    before = kept()
    assert post(job, body=body(1)).json() == {"status": "late"}
    assert kept() == before


@pytest.fixture
def small_caps(monkeypatch):
    monkeypatch.setattr(caps, "MAX_UNMATCHED", 30)
    monkeypatch.setattr(caps, "MAX_UNMATCHED_BYTES", 5000)


def test_callbacks_for_unknown_jobs_are_capped_per_vendor(small_caps, signing_vendor, post, caplog):
    for number in range(50):
        answer = post_for_unknown_job(post, body(number))
        assert (answer.status_code, answer.json()) == (202, {"status": "unmatched"})
    assert kept(verdict=Verdict.UNMATCHED) == caps.MAX_UNMATCHED
    assert len([record for record in caplog.records if "were not kept" in record.getMessage()]) == 1


def test_bytes_for_unknown_jobs_are_capped_per_vendor(small_caps, signing_vendor, post):
    for number in range(20):
        post_for_unknown_job(post, body(number, size=1000))
    assert kept() == 4


def test_unknown_jobs_of_one_vendor_take_no_room_from_another(
    small_caps, signing_vendor, make_vendor, make_job, post
):
    make_vendor("globex", adapter="async")
    for number in range(50):
        post_for_unknown_job(post, body(number))
    for number in range(40):
        receive_for_unknown_job(Vendor.objects.get(slug="globex"), number)
    assert [kept(vendor=slug) for slug in ("acme", "globex")] == [30, 30]
    # And none from a job that exists.
    job = make_job(status="waiting", attempt=1)
    answer = post(job, body=body(1), **signed(body(1)))
    assert answer.json() == {"status": "applied"}


def test_the_first_callback_of_a_job_is_not_counted(job, vendor):
    with asking_the_store() as asked:
        verdict = receive.receive(vendor, job.pk, (1, 1), webhook_id="", body=body(1), now=NOW)
    assert verdict == Verdict.APPLIED
    writes = [each for each in asked if each not in ("BEGIN", "SAVEPOINT", "RELEASE")]
    assert writes in (["INSERT", "UPDATE", "UPDATE"], ["insert", "update", "update"])


def test_callbacks_are_counted_with_an_index(vendor):
    with reads_of("jobs_callback") as reads:
        receive_for_unknown_job(vendor, 1)
    counts = [read for read in reads if "body_bytes" in str(read) and "LIMIT 1 " not in f"{read} "]
    assert len(counts) == 2
    assert_quick(counts, finds=True)


@pytest.mark.sqlite  # its plans
def test_a_late_callback_with_the_same_content_reads_only_those_of_its_job(job, post):
    post(job, body=b'{"name": 1}')
    with reads_of("jobs_callback") as reads:
        assert post(job, body=b'{ "name": 1 }').json() == {"status": "late"}
    plans = []
    with connection.cursor() as cursor:
        for read in reads:
            plans += [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {read}").fetchall()]
    assert len(plans) == 2
    assert all("(job=?" in plan for plan in plans), plans


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("status", ["waiting", "complete"])
def test_the_cap_of_a_run_holds_when_forty_arrive_at_once(vendor, make_job, post, status):
    job = make_job(status=status, attempt=1)
    race(40, lambda number: post(job, body=body(number)).status_code)
    assert kept() <= caps.MAX_PER_RUN
    assert Callback.objects.filter(verdict=Verdict.APPLIED).count() == (status == "waiting")


@pytest.mark.django_db(transaction=True)
def test_the_cap_of_a_vendor_holds_when_forty_arrive_at_once(vendor, small_caps):
    race(40, lambda number: receive_for_unknown_job(vendor, number))
    assert kept() <= caps.MAX_UNMATCHED


def race(count, send):
    def send_and_close(number):
        try:
            return send(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as threads:
        return list(threads.map(send_and_close, range(count)))
