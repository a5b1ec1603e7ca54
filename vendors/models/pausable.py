"""Rows that can be paused: vendors, and the keys of their credentials."""

from datetime import datetime
from typing import Any

from django.db import models

# Reasons of automatic pauses.
SLOW_DOWN = "The vendor asked us to slow down."
THROTTLED = "The vendor is rate limiting us without saying for how long; one job probes it then."
DENIED = "It denied 3 jobs in a row: check its credentials, then resume it."
NOT_ISSUED = "Its token server issues no token: check its URL and our credentials, then resume it."
DENIED_REASONS = (DENIED, NOT_ISSUED)
UNPAID = "It asks for payment: add credit to its account, then resume it."
UNPAID_UNTIL_RESET = "It asks for payment. As it says, its account has credit again by then."
UNPAID_REASONS = (UNPAID, UNPAID_UNTIL_RESET)
# Those for which a credential's key is paused, but never a vendor that has one.
OF_KEYS = (*DENIED_REASONS, *UNPAID_REASONS)
# Begins the reason for which a vendor is paused while no key of its credential can be used. Of the
# only key of a credential, the reasons OF_KEYS stand alone.
NONE_USABLE = "None of its keys can be used. "


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


class PausableVendor(Pausable):
    definition: Any

    class Meta:
        abstract = True

    @property
    def only_calls_are_paused(self) -> bool:
        """Whether a pause is there for the keys of its credential, which say themselves whether
        jobs may be polled with them: those that are out of credits do.
        """
        if self.paused_by or not self.definition.get("credential"):
            return False
        reason = self.pause_reason
        return reason.startswith(NONE_USABLE) or reason in UNPAID_REASONS

    @property
    def is_for_keys(self) -> bool:
        """Whether a pause is there because no key of its credential can be used for calls."""
        if self.paused_by or not self.definition.get("credential"):
            return False
        return self.pause_reason.startswith(NONE_USABLE) or self.pause_reason in OF_KEYS

    def allows_polls(self, now: datetime) -> bool:
        return self.only_calls_are_paused or not self.is_paused(now)
