"""While a quota is spent, jobs fail if its limit says so."""

from datetime import timedelta

import pytest

from jobs.models import Job, Stream
from jobs.queue import stream
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys
from jobs.recovery import spent_quotas
from jobs.recovery.spent_quotas import fail_jobs
from jobs.tests.polling import PollingWorker
from vendors.catalogue import catalogue
from vendors.models import Credential, Limit

pytestmark = pytest.mark.usefixtures("redis_client", "transactional_db")

KEYS = ["VENDOR_ACME_1", "VENDOR_ACME_2"]
PER_KEY = {"per": "credential"}
WAITING = {"calls": 2, "period": "month", "spent": "wait"}


@pytest.fixture
def limited(make_vendor, monkeypatch):
    """Make a vendor, each of whose keys has a quota of so many calls; all are spent but `left`."""

    def make(
        left=0, spent="fail", *, period="month", per=PER_KEY, limits=("plan",), frees=True, **fields
    ):
        for name in KEYS:
            monkeypatch.setenv(name, f"value of {name}")
        keys = {"header": "X-Key", "keys_env": KEYS}
        Credential.objects.create(slug="pool", definition=keys)
        quota = {"calls": 2, "period": period, "spent": spent}
        Limit.objects.create(slug="plan", definition={"quota": quota, **per})
        make_vendor(definition={"credential": "pool", "limits": [*limits]}, **fields)
        stream.add("acme", ["gone"] * (4 - left), Stream.JOBS)
        worker = PollingWorker()
        taken = worker.take()
        settled = [stream.Settlement(it.job_id, it, frees_slot=frees) for it in taken.entries]
        worker.held.settle("acme", settled)

    return make


def queue(make_job, count=1, **fields):
    jobs = [make_job(**fields) for _ in range(count)]
    stream.add("acme", [job.pk for job in jobs], jobs[0].stream)
    return jobs


def outcomes():
    return list(Job.objects.order_by("pk").values_list("status", "error_code"))


FAILED = ("failed", "quota_spent")


def test_jobs_fail_that_would_have_to_wait_for_the_reset(limited, make_job, redis_client):
    limited()
    now = redis_clock.now()
    [job], [retry] = queue(make_job), queue(make_job, stream=Stream.RETRIES)
    soon = make_job(not_before=now + timedelta(hours=1))
    later = make_job(not_before=now + timedelta(days=40))
    assert (fail_jobs(), fail_jobs()) == (2, 0)
    jobs = [Job.objects.get(pk=each.pk) for each in (job, retry, soon, later)]
    assert [(each.status, each.error_code) for each in jobs] == [FAILED] * 3 + [("queued", "")]
    reset = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
    sentence = f"The quota of the limit plan is spent until {reset:%Y-%m-%d} 00:00:05 UTC, and"
    assert jobs[0].error_message.startswith(sentence)
    keys = Keys("acme")
    assert (redis_client.xlen(keys.jobs), redis_client.xlen(keys.retries)) == (0, 0)


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("left", "fields"),
    [(1, {}), (0, {"spent": "wait"}), (0, {"paused": True})],
    ids=["one key has a call left", "they are to wait", "the vendor is paused"],
)
def test_jobs_wait(limited, make_job, left, fields):
    limited(left, **fields)
    queue(make_job)
    assert (fail_jobs(), outcomes()) == (0, [("queued", "")])


@pytest.mark.sqlite
def test_a_backlog_fails_in_chunks_and_leaves_no_entries(
    limited, make_job, redis_client, monkeypatch
):
    monkeypatch.setattr(spent_quotas, "CHUNK", 2)
    limited()
    queue(make_job, 5)
    stream.add("acme", ["gone"] * 3, Stream.JOBS)
    while fail_jobs():
        pass
    assert outcomes() == [FAILED] * 5
    assert redis_client.xlen(Keys("acme").jobs) == 0


@pytest.mark.sqlite
@pytest.mark.parametrize("waits", [{"quota": WAITING}, {"windows": "2/day"}, {"max_in_flight": 2}])
def test_jobs_fail_whatever_else_holds_them(limited, make_job, waits):
    """A quota that waits is spent for longer than the day's, which fails jobs."""
    day = redis_clock.now().day
    if "quota" in waits:
        waits = {"quota": {**WAITING, "from": (day + 9) % 28 + 1}}
    Limit.objects.create(slug="other", definition=waits)
    limited(period="day", limits=["plan", "other"], per={}, frees=False)
    queue(make_job)
    assert fail_jobs()
    assert outcomes() == [FAILED]


@pytest.mark.sqlite
def test_a_raised_quota_counts_at_once(limited, make_job):
    limited()
    queue(make_job)
    limit = Limit.objects.get()
    limit.definition["quota"]["calls"] = 3
    limit.save()
    catalogue.forget()
    PollingWorker().take(want=0)
    assert (fail_jobs(), outcomes()) == (0, [("queued", "")])
