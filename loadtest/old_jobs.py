"""Fills a store with jobs of 40 days ago, each with an attempt, and every third with a callback."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django

BATCH = 5000
AGE = timedelta(days=40)
STATUSES = ["complete", "complete", "failed", "cancelled", "waiting", "queued"]


def fill(folder: Path, store: str, count: int) -> float:
    """Create two vendors and `count` jobs; returns how many seconds it took. Sets Django up."""
    os.environ.update(
        DJANGO_SETTINGS_MODULE="enrichlabs.settings",
        ENRICHLABS_DATA=str(folder),
        DATABASE_URL=store,
    )
    django.setup()
    from jobs.models import Attempt, Callback, Job
    from jobs.storage.store import writing
    from vendors.models import Vendor

    since = time.monotonic()
    for slug in ("sync", "async"):
        Vendor.objects.create(
            slug=slug, adapter=slug, url="https://vendor.example/", rate_limits="20/s"
        )
    for done in range(0, count, BATCH):
        jobs = [Job.new(**job_fields(number)) for number in range(done, min(done + BATCH, count))]
        attempts = [Attempt(**attempt_fields(job)) for job in jobs]
        callbacks = [Callback(**callback_fields(job)) for job in jobs[::3]]
        with writing():
            Job.objects.bulk_create(jobs)
            Attempt.objects.bulk_create(attempts)
            Callback.objects.bulk_create(callbacks)
    return time.monotonic() - since


def job_fields(number: int) -> dict[str, Any]:
    status, name = STATUSES[number % len(STATUSES)], f"Jöhn Doe {number}"
    is_final = status in ("complete", "failed", "cancelled")
    result = {
        "name": name,
        "info": "Processed async",
        "scores": [number / 7, 2**70, None],
        "note": "x" * 200,
    }
    return {
        "id": old_id(),
        "vendor": ("sync", "async")[number % 2],
        "name": name,
        "input": {"name": name, "address": {"city": "Tōkyō", "half": "\ud83d"}},
        "status": status,
        "attempt": 1,
        "result": result if status == "complete" else None,
        "deadline_at": moment() if status == "waiting" else None,
        "started_at": moment(),
        "finished_at": moment() if is_final else None,
    }


def attempt_fields(job: Any) -> dict[str, Any]:
    return {
        "id": old_id(),
        "job": job.pk,
        "vendor": job.vendor,
        "run": 1,
        "number": 1,
        "worker": "host-1-0a1b2c3d",
        "outcome": "done",
        "started_at": moment(),
        "ended_at": moment(),
    }


def callback_fields(job: Any) -> dict[str, Any]:
    pk = old_id()
    return {
        "id": pk,
        "key": pk,
        "job": job.pk,
        "vendor": job.vendor,
        "run": 1,
        "attempt": 1,
        "body": {"info": "Processed async", "note": "y" * 200},
        "body_bytes": 230,
        "verdict": "applied",
        "received_at": moment(),
    }


def moment() -> datetime:
    return datetime.now(UTC) - AGE


def old_id() -> str:
    """Return an id as it was made at that time."""
    from jobs.api.pagination import first_id_at
    from vendors.models import new_id

    return first_id_at(moment())[:14] + new_id()[14:]
