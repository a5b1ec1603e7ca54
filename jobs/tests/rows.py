"""Rows of every kind, with values that are hard to store or to write as JSON."""

from datetime import UTC, datetime, timedelta

from clients.models import Client
from jobs.models import Attempt, Batch, Callback, Job, RefusedItem, State, Status
from jobs.transfer.archive import KINDS, fields
from vendors.models import Vendor, new_id

AT = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
ODD = {
    "half": "\ud83d",
    "NUL\0": "\0",
    "big": 2**70,
    "small": 1e-9,
    "none": None,
    "deep": [[{"ü": ["", 0, False]}]],
    "e": "€😀",
}
LIMITS = {
    "rate_limits": "10/s, 1000/day",
    "max_in_flight": 5,
    "max_queued": None,
    "paused_until": AT,
    "pause_reason": "€",
    "definition": {"credential": "globex", "json": {"name": "{input.name}", "ü": [1.5, None]}},
}


def make_rows():
    """Make vendors, clients and batches, and for one vendor jobs of every status, each with an
    attempt and some with a callback.
    """
    Client.objects.create(slug="default", created_at=AT)
    Client.objects.create(slug="billing", enabled=False, request_limits="5/s", created_at=AT)
    for slug, more in (("acme", {}), ("globex", LIMITS)):
        Vendor.objects.create(slug=slug, adapter="async", url="https://vendor.example/", **more)
    Vendor.objects.update(created_at=AT)
    batch = make_batches()
    for number, status in enumerate(Status.values * 2):
        make_job_and_more(number, status, batch)


def make_batches():
    """Make a finished batch with two refused items, and one that is receiving. Return the id of the
    first.
    """
    finished = Batch.new("billing", "monday €", "key-0")
    finished.state, finished.cut_short, finished.revision = State.FINISHED, True, 3
    finished.sealed_at = finished.finished_at = AT
    finished.retry_requested_at = finished.cancel_requested_at = AT
    finished.save(force_insert=True)
    Batch.new("default").save(force_insert=True)
    for index in (1, 3):
        item = RefusedItem.new(finished.pk, index, 422, "unknown_vendor", "There is no vendor €.")
        item.errors, item.fingerprint = [{"pointer": "/vendor", "detail": "€"}], "f" * 64
        item.save(force_insert=True)
    return finished.pk


def make_job_and_more(number, status, batch):
    job = Job.new(vendor="acme", name="Zoë 😀", input=ODD, status=status, attempt=1, started_at=AT)
    job.run_token, job.client = "a" * 32, "billing" if number % 3 else "default"
    job.created_at, job.queued_at = AT - timedelta(days=400), AT
    job.not_before = AT if number == 0 else None
    if number % 2:
        job.reference, job.metadata = "order €", {"team": "growth", "": "ü"}
        job.idempotency_key, job.fingerprint = f"key-{number}", "f" * 64
        job.expires_at = job.deadline_at = AT
    if number in (2, 8):
        job.batch, job.batch_index = batch, number
    if status == "complete":
        job.finished_at, job.outcome = AT, "no_data" if number % 2 else "found"
        job.result = None if number % 2 else ODD
    if status == "waiting":
        job.vendor_reference, job.next_poll_at = f"task € {number}", AT
    job.save(force_insert=True)
    of_job = {"job": job.pk, "vendor": "acme", "run": 1}
    ended = {"started_at": AT, "ended_at": AT, "outcome": "x", "message": "It failed."}
    paid = {"cost": 0.25, "confidence": 0.875, "vendor_reference": f"task € {number}"}
    more = paid if number % 2 else {"kind": "poll"}
    Attempt(**of_job, number=1, worker="w", **ended, **more).save(force_insert=True)
    if number % 2:
        callback = Callback(key=new_id(), **of_job, attempt=1, body_bytes=100, received_at=AT)
        callback.body, callback.verdict = ODD if number > 5 else None, "applied"
        callback.vendor_reference = f"task € {number}"
        callback.save(force_insert=True)


def all_rows():
    """Return all rows of the store, with times to the millisecond, which is what MongoDB keeps."""
    return {
        kind: [floored(row) for row in model.objects.order_by("pk").values(*fields(kind))]
        for kind, model in KINDS.items()
    }


def floored(row):
    times = {name: value for name, value in row.items() if isinstance(value, datetime)}
    floored_times = {
        name: value.replace(microsecond=value.microsecond // 1000 * 1000)
        for name, value in times.items()
    }
    return {**row, **floored_times}


def delete_rows():
    for model in KINDS.values():
        model.objects.all().delete()
