"""Calls made for jobs."""

from typing import Any, Self

from django.db import models
from django.db.models import Q

from jobs.fields import JSONTextField
from jobs.models.rows import new_row
from vendors.models import new_id


class Kind(models.TextChoices):
    """Why a vendor was called. Only a `call` raises its job's attempt."""

    CALL = "call"  # an attempt of a job
    POLL = "poll"  # asks for the answer to an earlier call
    TRY = "try"  # made by an operator without a job: `manage.py vendor try`
    CHECK = "check"  # asks whether the vendor works


UNKNOWN = "unknown"  # the outcome of a call that has not ended, or whose worker died


class Attempt(models.Model):
    """One call of a vendor, and its outcome. Polls, tries and checks have a row before they end."""

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    kind = models.CharField(max_length=5, choices=Kind.choices, default=Kind.CALL)
    job = models.CharField(max_length=36, blank=True)  # empty for a call without a job
    vendor = models.CharField(max_length=50)
    run = models.PositiveIntegerField()
    number = models.PositiveIntegerField()  # the job's attempt
    worker = models.CharField(max_length=100)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    # One of vendors.base.Outcome, a more exact error code, or `unknown` while a call is under way.
    outcome = models.CharField(max_length=50)
    message = models.CharField(max_length=500, default="")
    cost = models.FloatField(null=True)  # what the vendor charged, in its own unit
    confidence = models.FloatField(null=True)  # in the result, as the vendor rates it
    # As in Job: a callback may name the reference of an earlier attempt.
    vendor_reference = models.CharField(max_length=255, blank=True, default="")
    # What was charged for it: so many units in the vendor's own windows and in each of these
    # limits, written ",one,two,". `credential` is the key it was made with, as in Job.
    units = models.PositiveIntegerField(default=1)
    limits = models.TextField(blank=True, default="")
    credential = models.CharField(max_length=100, blank=True, default="")
    # The vendor's response to a failed call, cleaned and truncated:
    # {"status": 422, "headers": {...}, "body": "..."}
    reply = JSONTextField(null=True)

    class Meta:
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["job", "number"], name="attempt_of_job"),
            models.Index(fields=["vendor", "started_at"], name="attempt_started"),
            # To count a shared limit again.
            models.Index(
                fields=["started_at", "vendor"],
                name="attempt_limited",
                condition=Q(limits__gt=""),
            ),
            models.Index(
                fields=["vendor", "vendor_reference"],
                name="attempt_vendor_reference",
                condition=Q(vendor_reference__gt=""),
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.job}"

    @classmethod
    def new(cls, **fields: Any) -> Self:
        """Return an unsaved attempt."""
        return new_row(cls, {"id": new_id(), **fields})
