"""Bulk actions and the jobs that they move."""

from datetime import UTC, datetime, timedelta

from audit.record import Actor
from jobs.bulk import actions, step
from jobs.choice import Choice
from jobs.models import BulkAction, Job
from jobs.queue.clock import redis_clock
from jobs.queue.keys import HEARTBEATS, Keys
from vendors.models import Vendor

BOB = Actor("bob", "10.0.0.7")
LONG_AGO = datetime(2026, 5, 1, 12, tzinfo=UTC)


def make_failed(count, vendor="acme", **fields):
    """Make jobs that failed a while ago; returns their ids, in order."""
    ended = {"queued_at": LONG_AGO, "finished_at": LONG_AGO, "error_code": "timeout"}
    jobs = [
        Job.new(**{"vendor": vendor, "input": {}, "status": "failed", **ended, **fields})
        for _ in range(count)
    ]
    Job.objects.bulk_create(jobs)
    return sorted(job.pk for job in jobs)


def start(kind="retry", vendor="acme", *, planned=0, **choice):
    options = {
        name: choice.pop(name) for name in ("per_second", "repeats_unknown") if name in choice
    }
    chosen = Choice(vendor=vendor, **choice).as_json()
    return actions.start(BOB, kind=kind, vendor=vendor, choice=chosen, planned=planned, **options)


def stored(action):
    return BulkAction.objects.get(pk=action.pk)


def advance_to_the_end(most=100):
    """Advance until nothing is left to do at once."""
    for _ in range(most):
        if not step.advance():
            return
    raise AssertionError("it goes on and on")


def have_a_worker(redis_client):
    seconds, microseconds = redis_client.time()
    redis_client.zadd(HEARTBEATS, {"host-1-well": (seconds + 3600) * 1000 + microseconds / 1000})


def entries(redis_client, vendor="acme"):
    return [fields["job"] for _, fields in redis_client.xrange(Keys(vendor).jobs)]


def runs():
    return sorted(Job.objects.values_list("status", "run"))


def change(**fields):
    Vendor.objects.filter(slug="acme").update(**fields)


def soon():
    return redis_clock.now() + timedelta(hours=1)
