"""Rows that can be paused: vendors, and the keys of their credentials."""

from datetime import datetime

from django.db import models


class Pausable(models.Model):
    """`paused` lasts until somebody resumes it, `paused_until` until then."""

    paused = models.BooleanField(default=False, help_text="On: jobs are accepted, but not called.")
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text="Set when the vendor asks us to slow down."
    )
    pause_reason = models.CharField(max_length=200, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_by = models.CharField(max_length=150, blank=True)  # empty if the pause is automatic
    resumed_at = models.DateTimeField(null=True, blank=True)  # last, by Redis' clock

    class Meta:
        abstract = True

    def is_paused(self, now: datetime) -> bool:
        return self.paused or (self.paused_until is not None and self.paused_until > now)
