"""Jobs. Only jobs.lifecycle moves one from one status to another."""

from datetime import UTC, datetime
from typing import Any, Self

import uuid_utils
from django.db import models
from django.db.models import Q

from clients.models import DEFAULT
from jobs.fields import JSONTextField
from jobs.models.owned import Owned
from jobs.models.rows import new_row
from vendors.models import new_id


def time_of(job_id: str) -> datetime:
    """Return when a UUIDv7 was made, to the millisecond."""
    return datetime.fromtimestamp((uuid_utils.UUID(job_id).int >> 80) / 1000, UTC)


class Status(models.TextChoices):
    QUEUED = "queued"  # in its vendor's stream, or delayed until not_before
    PROCESSING = "processing"  # a worker is calling the vendor
    WAITING = "waiting"  # the vendor has accepted it; a callback or a poll will finish it
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (Status.QUEUED, Status.PROCESSING, Status.WAITING)
IN_FLIGHT = (Status.PROCESSING, Status.WAITING)
FINAL = (Status.COMPLETE, Status.FAILED, Status.CANCELLED)


class Stream(models.TextChoices):
    """Which of its vendor's streams holds an entry."""

    JOBS = "jobs"  # first attempts, in order of arrival, and jobs that a bulk action retries
    RETRIES = "retries"  # retries, takeovers and released jobs; read before `jobs`
    POLLS = "polls"  # waiting jobs whose vendor is to be asked; only if the vendor is polled


QUEUES = (Stream.JOBS, Stream.RETRIES)  # where the entries of queued jobs are
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Job(models.Model):
    """One request of a client. Create rows with `Job.new`."""

    id = models.CharField(
        "request id",
        primary_key=True,
        max_length=36,
        db_column="_id",
        default=new_id,
        editable=False,
    )
    # Slugs, not foreign keys: neither store joins fast enough for the hot path.
    client = models.CharField(max_length=50, default=DEFAULT)
    vendor = models.CharField(max_length=50)
    name = models.CharField(max_length=200, blank=True)
    input = JSONTextField()
    # The client's own names for it, and the key under which it was posted (docs/api.md).
    reference = models.CharField(max_length=255, blank=True, default="")
    metadata = JSONTextField(null=True)
    # None, not '', so that jobs without a key are not each other's repeats.
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001
    fingerprint = models.CharField(max_length=64, blank=True, default="")  # of the posted body
    # The batch it was posted in, and its place there, from 0. '' and None for a job of its own.
    batch = models.CharField(max_length=36, blank=True, default="")
    batch_index = models.PositiveIntegerField(null=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)

    attempt = models.PositiveIntegerField(default=0)  # the fence: rises with each claim
    failures = models.PositiveIntegerField(default=0)  # attempts that count against max_attempts
    crashes = models.PositiveIntegerField(default=0)  # takeovers from dead workers
    run = models.PositiveIntegerField(default=1)  # rises with each retry by an operator

    # Of a queued job; never `polls`.
    stream = models.CharField(max_length=7, choices=Stream.choices, default=Stream.JOBS)
    queued_at = models.DateTimeField()  # when it was last added to its stream
    not_before = models.DateTimeField(null=True)  # delayed: not added to its stream before then
    # When the call or the callback is overdue, or when a job that was never started expires.
    deadline_at = models.DateTimeField(null=True)
    # Not started by then: it fails. None once it is queued for a later attempt.
    expires_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, default="")
    # Names the claim of the job; on MongoDB, the last move made since.
    run_token = models.CharField(max_length=32, default="")

    # The bulk action that moved it last (jobs.bulk).
    bulk = models.CharField(max_length=36, blank=True, default="")
    # The key of its vendor's credential that its latest attempt was made with, by the name of the
    # key's variable. Its polls are made with the same one.
    credential = models.CharField(max_length=100, blank=True, default="")
    # What the vendor calls its piece of work, as its answer to the latest attempt named it.
    vendor_reference = models.CharField(max_length=255, blank=True, default="")
    # Of a waiting job: when to poll, or until when a poll is left to whoever has its entry.
    next_poll_at = models.DateTimeField(null=True)

    # Of a complete job: found or no_data; '' for those of release 0.1.0, which all found something.
    outcome = models.CharField(max_length=10, blank=True, default="")
    result = JSONTextField(null=True)
    error_code = models.CharField(max_length=50, default="")
    error_message = models.CharField(max_length=500, default="")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)  # of the latest attempt
    finished_at = models.DateTimeField(null=True)

    objects = models.Manager["Job"]()
    owned = Owned["Job"]()

    class Meta:
        default_permissions = ("view",)
        permissions = [
            ("retry_job", "Can retry jobs"),
            ("cancel_job", "Can cancel jobs"),
            ("edit_job", "Can edit the input of a job and retry it"),
            ("view_personal_data", "Can see names, inputs, results and what vendors answered"),
            ("manage_workers", "Can drain and stop workers"),
        ]
        indexes = [
            models.Index(fields=["status", "vendor", "stream", "queued_at"], name="job_lost"),
            models.Index(fields=["status", "not_before"], name="job_due"),
            models.Index(fields=["status", "deadline_at"], name="job_overdue"),
            models.Index(fields=["status", "id"], name="job_status_newest"),
            models.Index(fields=["vendor", "id"], name="job_vendor_newest"),
            models.Index(fields=["vendor", "status", "id"], name="job_vendor_status_newest"),
            models.Index(fields=["name"], name="job_name"),
            # The lists of one client, who may have few jobs among many of others.
            models.Index(fields=["client", "id"], name="job_client_newest"),
            models.Index(fields=["client", "status", "id"], name="job_client_status"),
            models.Index(fields=["client", "vendor", "id"], name="job_client_vendor"),
            # Partial, so that a job without these fields costs nothing. A query must repeat the
            # condition, or SQLite's planner does not consider the index.
            models.Index(
                fields=["client", "reference", "id"],
                name="job_reference",
                condition=Q(reference__gt=""),
            ),
            # MongoDB can't use the constraint's index for look-ups
            # (docs/decisions/0002-mongodb.md).
            models.Index(
                fields=["client", "idempotency_key"],
                name="job_idempotency_key",
                condition=Q(idempotency_key__gt=""),
            ),
            models.Index(
                fields=["batch", "status", "vendor", "finished_at"],
                name="job_batch_status",
                condition=Q(batch__gt=""),
            ),
            models.Index(
                fields=["batch", "batch_index"], name="job_batch_index", condition=Q(batch__gt="")
            ),
            models.Index(
                fields=["vendor", "credential", "next_poll_at"],
                name="job_next_poll_of_key",
                condition=Q(next_poll_at__gt=EPOCH),
            ),
            models.Index(
                fields=["error_code", "vendor", "id"],
                name="job_error",
                condition=Q(error_code__gt=""),
            ),
            models.Index(
                fields=["error_code", "id"],
                name="job_error_newest",
                condition=Q(error_code__gt=""),
            ),
            models.Index(fields=["bulk", "id"], name="job_bulk", condition=Q(bulk__gt="")),
            models.Index(
                fields=["vendor", "vendor_reference"],
                name="job_vendor_reference",
                condition=Q(vendor_reference__gt=""),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "idempotency_key"],
                name="job_idempotency_key_unique",
                condition=Q(idempotency_key__gt=""),
            ),
            models.UniqueConstraint(
                fields=["batch", "batch_index"],
                name="job_batch_index_unique",
                condition=Q(batch__gt=""),
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @classmethod
    def new(cls, **fields: Any) -> Self:
        """Return an unsaved job that was created, and queued, when its id was made, unless the
        fields say otherwise. One with `not_before` is queued then.
        """
        job_id = fields.setdefault("id", new_id())
        created_at = fields.setdefault("created_at", time_of(job_id))
        fields.setdefault("queued_at", fields.get("not_before") or created_at)
        fields.setdefault("deadline_at", fields.get("expires_at"))
        return new_row(cls, fields)

    @classmethod
    def of_batch(cls, batch_id: str) -> "models.QuerySet[Job]":
        """Return the jobs of a batch. SQLite considers a partial index only if its condition is
        repeated.
        """
        return cls.objects.filter(batch=batch_id, batch__gt="")

    @property
    def call_key(self) -> str:
        """The same for every attempt of a run, so that a vendor recognizes a repeated call."""
        return self.id if self.run == 1 else f"{self.id}:{self.run}"
