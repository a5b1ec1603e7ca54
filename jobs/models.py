"""What a job is: its row, the tries made for it, and the callbacks that came for it. jobs.lifecycle
alone moves it.
"""

from datetime import UTC, datetime
from typing import Any

import uuid_utils
from django.db import models

from jobs.fields import JSONTextField
from vendors.models import new_id


def time_of(job_id: str) -> datetime:
    """Return the moment that a UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((uuid_utils.UUID(job_id).int >> 80) / 1000, UTC)


class Status(models.TextChoices):
    QUEUED = "queued"  # in its vendor's stream, or held back until not_before
    PROCESSING = "processing"  # a worker is calling the vendor
    WAITING = "waiting"  # the vendor took it; its callback finishes the job
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (Status.QUEUED, Status.PROCESSING, Status.WAITING)
IN_FLIGHT = (Status.PROCESSING, Status.WAITING)
FINAL = (Status.COMPLETE, Status.FAILED, Status.CANCELLED)


class Stream(models.TextChoices):
    """Which of its vendor's two streams holds the entry of a queued job."""

    JOBS = "jobs"  # first tries, in the order of arrival
    RETRIES = "retries"  # retries, takeovers and hand-backs, read first


class Job(models.Model):
    id = models.CharField(
        "request id",
        primary_key=True,
        max_length=36,
        db_column="_id",
        default=new_id,
        editable=False,
    )
    # The slug and no foreign key: neither store joins well, and the hot path must not.
    vendor = models.CharField(max_length=50)
    name = models.CharField(max_length=200)
    input = JSONTextField()
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)

    # Three numbers that are never mixed, and the run that they belong to.
    attempt = models.PositiveIntegerField(
        default=0
    )  # the fence: rises with every start, over all runs
    failures = models.PositiveIntegerField(default=0)  # tries that count against max_attempts
    crashes = models.PositiveIntegerField(default=0)  # takeovers from dead workers
    run = models.PositiveIntegerField(default=1)  # rises with every retry by an operator

    stream = models.CharField(max_length=7, choices=Stream.choices, default=Stream.JOBS)
    queued_at = models.DateTimeField()  # when it was last put into its stream
    not_before = models.DateTimeField(null=True)  # queued, but to be put into its stream no earlier
    deadline_at = models.DateTimeField(null=True)  # when a call or a wait for a callback is overdue
    worker = models.CharField(max_length=100, default="")
    # Names the batch that started it and, on MongoDB, the move that was made since.
    run_token = models.CharField(max_length=32, default="")

    result = JSONTextField(null=True)
    error_code = models.CharField(max_length=50, default="")
    error_message = models.CharField(max_length=500, default="")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)  # of the last try
    finished_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ("view",)
        permissions = [("retry_job", "Can retry jobs"), ("cancel_job", "Can cancel jobs")]
        indexes = [
            models.Index(fields=["status", "vendor", "stream", "queued_at"], name="job_lost"),
            models.Index(fields=["status", "not_before"], name="job_due"),
            models.Index(fields=["status", "deadline_at"], name="job_overdue"),
            models.Index(fields=["status", "id"], name="job_status_newest"),
            models.Index(fields=["vendor", "id"], name="job_vendor_newest"),
            models.Index(fields=["vendor", "status", "id"], name="job_vendor_status_newest"),
            models.Index(fields=["name"], name="job_name"),
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Not by the attribute: reading one that a query has left out would ask the store, and make
        # a row again.
        if self.__dict__.get("created_at", True) is None:
            self.created_at = time_of(self.id)
        if self.__dict__.get("queued_at", True) is None:
            self.queued_at = self.created_at

    def __str__(self) -> str:
        return self.id

    @property
    def idempotency_key(self) -> str:
        """The same for every try of a run, so that a vendor can tell a repeated call."""
        return self.id if self.run == 1 else f"{self.id}:{self.run}"


class Kind(models.TextChoices):
    """What a counted call of a vendor was made for. Only `call` raises a job's attempt."""

    CALL = "call"  # an attempt of a job
    POLL = "poll"  # asks for the answer of an earlier call
    TRY = "try"  # made by hand, without a job: `manage.py vendor try`
    CHECK = "check"  # asks whether the vendor works


class Attempt(models.Model):
    """One call of a vendor that has ended: what came of it."""

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.CALL)
    job = models.CharField(max_length=36, blank=True)  # empty where the call was made for no job
    vendor = models.CharField(max_length=50)
    run = models.PositiveIntegerField()
    number = models.PositiveIntegerField()  # the job's attempt
    worker = models.CharField(max_length=100)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    outcome = models.CharField(max_length=50)  # done, accepted, or the code of an error
    message = models.CharField(max_length=500, default="")
    # What a vendor said that failed the call: {"status": 422, "headers": {...}, "body": "..."},
    # cleaned and cut.
    reply = JSONTextField(null=True)

    class Meta:
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["job", "number"], name="attempt_of_job"),
            models.Index(fields=["vendor", "started_at"], name="attempt_started"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.job}"


class Verdict(models.TextChoices):
    APPLIED = "applied"  # it finished its job
    LATE = "late"  # its job was final already, or in a later run
    UNMATCHED = "unmatched"  # no such job
    REFUSED = "refused"  # not a JSON object, or without proof of its origin
    UNREADABLE = "unreadable"  # the adapter can't read it


class Callback(models.Model):
    """One callback as it came in, cleaned."""

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    key = models.CharField(
        max_length=64, unique=True
    )  # a repeat of the same callback has the same key
    vendor = models.CharField(max_length=50)
    job = models.CharField(max_length=36)
    run = models.PositiveIntegerField(null=True)
    attempt = models.PositiveIntegerField(null=True)
    body = JSONTextField(null=True)
    body_bytes = models.PositiveIntegerField()
    verdict = models.CharField(max_length=10, choices=Verdict.choices, default="", blank=True)
    reason = models.CharField(
        max_length=200, default="", blank=True
    )  # why it was refused or can't be read
    received_at = models.DateTimeField()
    times_received = models.PositiveIntegerField(default=1)

    class Meta:
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["key"], name="callback_key"),
            models.Index(fields=["job", "received_at"], name="callback_of_job"),
            models.Index(fields=["verdict", "received_at"], name="callback_verdict"),
            models.Index(fields=["vendor", "id"], name="callback_vendor_newest"),
        ]

    def __str__(self) -> str:
        return f"callback {self.id} for {self.job}"
