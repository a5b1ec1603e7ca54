"""Rows of every kind, with what a store or JSON may stumble over."""

from datetime import UTC, datetime, timedelta

from jobs.models import Attempt, Callback, Job, Status
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


def make_rows():
    """Make vendors, and for one of them jobs of every status, each with a try and some with a
    callback.
    """
    limits = {
        "rate_limits": "10/s, 1000/day",
        "max_in_flight": 5,
        "max_queued": None,
        "paused_until": AT,
        "pause_reason": "€",
    }
    for slug, more in (("acme", {}), ("globex", limits)):
        Vendor.objects.create(slug=slug, adapter="async", url="https://vendor.example/", **more)
    Vendor.objects.update(created_at=AT)
    for number, status in enumerate(Status.values * 2):
        make_job_and_more(number, status)


def make_job_and_more(number, status):
    ended = {"finished_at": AT, "result": ODD} if status == "complete" else {}
    job = Job.new(
        **{
            "vendor": "acme",
            "name": "Zoë 😀",
            "input": ODD,
            "status": status,
            "attempt": 1,
            "started_at": AT,
            "run_token": "a" * 32,
        },
        **{
            "created_at": AT - timedelta(days=400),
            "queued_at": AT,
            "not_before": AT if number == 0 else None,
        },
        **ended,
    )
    job.save(force_insert=True)
    tried = {"job": job.pk, "vendor": "acme", "run": 1}
    Attempt(
        **tried, number=1, worker="w", started_at=AT, ended_at=AT, outcome="x", message="It failed."
    ).save(force_insert=True)
    if number % 2:
        body = {
            "body": ODD if number > 5 else None,
            "body_bytes": 100,
            "received_at": AT,
            "verdict": "applied",
        }
        Callback(key=new_id(), **tried, attempt=1, **body).save(force_insert=True)


def all_rows():
    """Return all rows of the store, with times to the millisecond, which is what MongoDB keeps."""
    return {
        kind: [floored(row) for row in model.objects.order_by("pk").values(*fields(kind))]
        for kind, model in KINDS.items()
    }


def floored(row):
    times = {name: value for name, value in row.items() if isinstance(value, datetime)}
    return {
        **row,
        **{
            name: value.replace(microsecond=value.microsecond // 1000 * 1000)
            for name, value in times.items()
        },
    }


def delete_rows():
    for model in KINDS.values():
        model.objects.all().delete()
