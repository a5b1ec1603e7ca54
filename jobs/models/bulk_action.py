"""Actions on all jobs that match a filter, which the sweep carries out step by step."""

from typing import Any

from django.db import models

from jobs.fields import JSONTextField
from vendors.models import new_id


class BulkState(models.TextChoices):
    RUNNING = "running"
    PAUSED = "paused"  # by a person
    CANCELLED = "cancelled"  # and settled once it has a finished_at
    DONE = "done"


class BulkAction(models.Model):
    """One action. Jobs that it has moved carry its id (`Job.bulk`)."""

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    kind = models.CharField(max_length=10)  # retry or cancel
    state = models.CharField(max_length=10, choices=BulkState.choices, default=BulkState.RUNNING)
    choice: "models.Field[dict[str, Any], dict[str, Any]]" = JSONTextField()  # jobs.choice.Choice
    vendor = models.CharField(max_length=50)  # an action is of one vendor's jobs
    reason = models.CharField(max_length=500, blank=True)
    actor = models.CharField(max_length=150)
    per_second = models.FloatField(null=True)  # None: as fast as the vendor takes its jobs
    # Also retry those of which it is unknown whether the vendor did the work.
    repeats_unknown = models.BooleanField(default=False)
    planned = models.PositiveIntegerField()  # how many jobs matched when it was planned
    planned_is_bound = models.BooleanField(default=False)  # there were more
    # Times are those of Redis' clock.
    started_at = models.DateTimeField()  # jobs that end later are left alone
    finished_at = models.DateTimeField(null=True)
    cursor = models.CharField(max_length=36, blank=True)  # the last id that was looked at
    done = models.PositiveIntegerField(default=0)
    skipped: "models.Field[dict[str, int], dict[str, int]]" = JSONTextField()  # by reason
    per_minute = models.FloatField(null=True)  # how many it has moved of late
    held_by = models.CharField(max_length=500, blank=True)  # why it does not go on at present

    class Meta:
        default_permissions = ("view",)
        permissions = [("run_bulkaction", "Can retry or cancel all jobs that match a filter")]
        indexes = [
            models.Index(fields=["finished_at", "id"], name="bulk_open"),
            models.Index(fields=["vendor", "id"], name="bulk_vendor"),
        ]

    def __str__(self) -> str:
        return self.id
