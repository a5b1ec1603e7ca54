"""Callbacks received."""

from django.db import models
from django.db.models import Q

from jobs.fields import JSONTextField
from vendors.models import new_id


class Verdict(models.TextChoices):
    """What became of a callback; empty until it is decided."""

    APPLIED = "applied"  # it ended its job, or queued it again
    POLLED = "polled"  # it has no result, or none that is believed: the vendor is polled
    LATE = "late"  # its job was final already, or in a later run
    UNMATCHED = "unmatched"  # no such job, or none with its reference yet
    REFUSED = "refused"  # not a JSON object, or without proof of origin
    UNREADABLE = "unreadable"  # the adapter can't read it


class Callback(models.Model):
    """One callback as received, cleaned."""

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    key = models.CharField(max_length=64, unique=True)  # the same when a callback is repeated
    vendor = models.CharField(max_length=50)
    job = models.CharField(max_length=36, blank=True)  # '' until its reference is known
    # What it names, if it came to the URL of the whole account.
    vendor_reference = models.CharField(max_length=255, blank=True, default="")
    run = models.PositiveIntegerField(null=True)
    attempt = models.PositiveIntegerField(null=True)
    body = JSONTextField(null=True)
    body_bytes = models.PositiveIntegerField()
    verdict = models.CharField(max_length=10, choices=Verdict.choices, default="", blank=True)
    # Why it was refused or can't be read.
    reason = models.CharField(max_length=200, default="", blank=True)
    received_at = models.DateTimeField()
    times_received = models.PositiveIntegerField(default=1)

    class Meta:
        default_permissions = ("view",)
        permissions = [("apply_callback", "Can apply stored callbacks again")]
        indexes = [
            models.Index(fields=["key"], name="callback_key"),
            models.Index(fields=["job", "received_at"], name="callback_of_job"),
            models.Index(fields=["verdict", "received_at"], name="callback_verdict"),
            models.Index(fields=["vendor", "id"], name="callback_vendor_newest"),
            models.Index(
                fields=["vendor", "vendor_reference"],
                name="callback_vendor_reference",
                condition=Q(vendor_reference__gt=""),
            ),
        ]

    def __str__(self) -> str:
        return f"callback {self.id} for {self.job}"
