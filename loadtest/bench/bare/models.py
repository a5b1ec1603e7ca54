"""A job with our columns and indexes, as a plain model."""

from typing import ClassVar

import uuid_utils
from django.db import models
from django.db.models import Q


def new_id() -> str:
    return str(uuid_utils.uuid7())


class Job(models.Model):
    objects: ClassVar[models.Manager["Job"]] = models.Manager()

    id = models.CharField(primary_key=True, max_length=36, default=new_id)
    client = models.CharField(max_length=50, default="default")
    vendor = models.CharField(max_length=50)
    name = models.CharField(max_length=200)
    input = models.JSONField()
    reference = models.CharField(max_length=255, default="")
    metadata = models.JSONField(null=True)
    idempotency_key = models.CharField(max_length=255, null=True)  # noqa: DJ001 - as ours
    fingerprint = models.CharField(max_length=64, default="")
    status = models.CharField(max_length=10, default="queued")
    attempt = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    crashes = models.PositiveIntegerField(default=0)
    run = models.PositiveIntegerField(default=1)
    stream = models.CharField(max_length=5, default="jobs")
    queued_at = models.DateTimeField(auto_now_add=True)
    not_before = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=100, default="")
    run_token = models.CharField(max_length=32, default="")
    result = models.JSONField(null=True)
    error_code = models.CharField(max_length=50, default="")
    error_message = models.CharField(max_length=500, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "bare"
        indexes = [
            models.Index(fields=["status", "vendor", "stream", "queued_at"], name="job_lost"),
            models.Index(fields=["status", "not_before"], name="job_due"),
            models.Index(fields=["status", "deadline_at"], name="job_overdue"),
            models.Index(fields=["status", "id"], name="job_status_newest"),
            models.Index(fields=["vendor", "id"], name="job_vendor_newest"),
            models.Index(fields=["vendor", "status", "id"], name="job_vendor_status_newest"),
            models.Index(fields=["name"], name="job_name"),
            models.Index(fields=["client", "id"], name="job_client_newest"),
            models.Index(
                fields=["client", "reference", "id"],
                name="job_reference",
                condition=Q(reference__gt=""),
            ),
            models.Index(
                fields=["client", "idempotency_key"],
                name="job_idempotency_key",
                condition=Q(idempotency_key__gt=""),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["client", "idempotency_key"],
                name="job_idempotency_key_unique",
                condition=Q(idempotency_key__gt=""),
            )
        ]

    def __str__(self) -> str:
        return self.id
