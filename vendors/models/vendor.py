"""The settings of one vendor: a row that operators edit, in effect within a second."""

import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from vendors import limits, validators, variables
from vendors.base import VendorError
from vendors.definitions.polling import Polling, polling_of
from vendors.http import outbound as outbounds
from vendors.models import validation
from vendors.models.charging import rate_limits_refusal
from vendors.models.ids import new_id
from vendors.models.limited import Limited
from vendors.models.pausable import PausableVendor
from vendors.models.secrets import VendorSecrets
from vendors.outbound import DIRECT, Outbound
from vendors.registry import is_built_in, is_http, make_adapter

DEFAULT_REQUIRED_INPUT = "name"


def required_input_of(adapter: str) -> str:
    """Return what a vendor with this adapter requires, unless it says otherwise."""
    has_default = is_built_in(adapter) and not is_http(adapter)
    return DEFAULT_REQUIRED_INPUT if has_default else ""


class Vendor(Limited, PausableVendor, VendorSecrets):
    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    slug = models.CharField(
        max_length=50,
        unique=True,
        validators=[validators.validate_slug],
        help_text="The vendor's name in jobs, URLs and logs. It can't be changed later.",
    )
    adapter = models.CharField(
        max_length=200,
        validators=[validators.validate_adapter],
        help_text="http (as its definition says), sync (answers at once), async (answers by "
        "callback), or adapters.FILE.CLASS for a class of your own.",
    )
    url = models.CharField(
        "URL",
        max_length=2000,
        validators=[validators.validate_url],
        help_text="Where jobs are posted. With adapter http, the method and the URL: "
        "GET https://api.example.com/v1/person/{input.id}",
    )
    enabled = models.BooleanField(
        default=True, help_text="Off: new jobs are rejected. Accepted jobs still run."
    )

    rate_limits = models.CharField(
        max_length=200,
        blank=True,
        validators=[validators.validate_rate_limits],
        help_text="For example 10/s, 500/min, 20000/day. All of them apply. Empty: no limit.",
    )
    arrival_margin_ms = models.PositiveIntegerField(
        default=70,
        validators=[MaxValueValidator(10_000)],
        help_text="Added to the period of each rate limit, because calls take different times to "
        "arrive. With a margin, the vendor never counts more calls than a limit allows. "
        "0: uses the whole limit, and the vendor may count more.",
    )
    max_in_flight = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Maximum number of jobs being called or waiting for a callback. Empty: no limit.",
    )
    max_queued = models.PositiveIntegerField(
        null=True,
        blank=True,
        default=1_000_000,
        validators=[MinValueValidator(1)],
        help_text="Maximum number of queued jobs. More are rejected with queue_full. "
        "Empty: no limit.",
    )
    timeout_seconds = models.FloatField(
        default=30,
        validators=[MinValueValidator(0.1), MaxValueValidator(3600)],
        help_text="Maximum duration of a call, from connecting to the last byte of the answer.",
    )
    max_attempts = models.PositiveIntegerField(
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="A job fails after this many failed attempts. "
        "Waiting for a rate limit or an outage does not count.",
    )
    callback_timeout_seconds = models.FloatField(
        default=3600,
        validators=[MinValueValidator(1), MaxValueValidator(30 * 86400)],
        help_text="Maximum time to wait for a callback.",
    )
    repeat_unknown = models.BooleanField(
        default=True,
        help_text="If it is unknown whether the vendor received a call: on, call again with the "
        "same idempotency key; off, fail the job with outcome_unknown.",
    )
    repeat_overdue = models.BooleanField(
        default=False,
        help_text="If no callback arrives in time: on, call again; "
        "off, fail the job with callback_overdue.",
    )

    required_input = models.CharField(
        max_length=1000,
        blank=True,
        default=DEFAULT_REQUIRED_INPUT,
        validators=[validators.validate_input_names],
        help_text="Fields that a job must have, or it is rejected. Separate names with commas. "
        "Empty: none.",
    )
    redact = models.CharField(
        max_length=1000,
        blank=True,
        default="ssn",
        help_text="Fields to remove from everything the vendor sends, at any depth. "
        "Separate names with commas.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)
        permissions = [
            (
                "change_vendor_target",
                "Can change where a vendor's calls go, by which adapter and with which keys",
            ),
            ("pause_vendor", "Can pause and resume vendors and their keys"),
            ("change_vendor_limits", "Can change the limits of a vendor"),
            ("try_vendor", "Can call a vendor by hand"),
            ("close_breaker", "Can close the open breaker of a vendor"),
        ]
        # MongoDB can't use the index of a unique field for look-ups
        # (docs/decisions/0002-mongodb.md).
        indexes = [models.Index(fields=["slug"], name="vendor_slug")]

    def __str__(self) -> str:
        return self.slug

    @cached_property
    def windows(self) -> list[limits.Window]:
        """The windows that the limiter enforces: the rate limits, widened by the arrival margin."""
        return limits.parse(self.rate_limits, margin_seconds=self.arrival_margin_ms / 1000)

    @cached_property
    def required_fields(self) -> tuple[str, ...]:
        """The fields of the input that a job must have."""
        if is_http(self.adapter):
            return validation.required_of(self.definition.get("input"))
        return tuple(word for word in re.split(r"[,\s]+", self.required_input) if word)

    @cached_property
    def redacted_fields(self) -> frozenset[str]:
        return frozenset(word.lower() for word in re.split(r"[,\s]+", self.redact) if word)

    @cached_property
    def polling(self) -> Polling | None:
        """When the vendor is polled; None if it is not."""
        return polling_of(self.definition)

    @property
    def expects_callback(self) -> bool:
        """Whether a job that was accepted is answered by a callback, and not only when polled."""
        return "callback" in self.definition or "poll" not in self.definition

    @property
    def answer_timeout_seconds(self) -> float:
        """How long an accepted job may wait for its answer."""
        give_up_seconds = self.polling.give_up_seconds if self.polling else None
        return self.callback_timeout_seconds if give_up_seconds is None else give_up_seconds

    @cached_property
    def outbound(self) -> Outbound:
        """How this vendor's calls leave the machine. Raises VendorError if that can't be told.

        Never without the proxy that the definition names.
        """
        proxy_env = self.definition.get("proxy_env", "")
        ca_file = self.definition.get("ca_file", "")
        client_cert_file = self.definition.get("client_cert_file", "")
        if not (proxy_env or ca_file or client_cert_file):
            return DIRECT
        if proxy_env and (fault := variables.missing(proxy_env)):
            sentence = f"proxy_env: {fault}"
            raise VendorError("vendor_unreachable", sentence, outage=True, sent=False)
        return Outbound(variables.value(proxy_env).strip(), ca_file, client_cert_file)

    @property
    def outbound_fault(self) -> str:
        """Why calls can't leave the machine as the definition says; empty if they can."""
        try:
            outbound = self.outbound
        except VendorError as error:
            return error.message
        return "" if outbound is DIRECT else outbounds.fault_of(outbound)

    @property
    def files(self) -> tuple[object, ...]:
        """What changes when a file that it depends on does; empty if there is none."""
        of_outbound: object
        try:
            of_outbound = outbounds.seen_of(self.outbound)
        except VendorError:
            of_outbound = ()
        of_secrets = variables.files_of(sorted(self.variable_names))
        return (of_outbound, *of_secrets) if of_outbound or of_secrets else ()

    def clean(self) -> None:
        validators.validate_same_slug(self)

    def full_clean(self, exclude: Iterable[str] | None = None, *args: Any, **kwargs: Any) -> None:
        excluded = set(exclude or ())
        super().full_clean(excluded, *args, **kwargs)
        is_fixed = "definition" in excluded and "rate_limits" not in excluded
        if is_fixed and (refusal := rate_limits_refusal(self)):
            raise ValidationError({"rate_limits": refusal})
        if "adapter" in excluded:
            return
        if not excluded & {"url", "definition"} and (faults := self._faults()):
            raise validators.at_keys(faults, validation.COLUMNS)
        if is_http(self.adapter):
            return  # it has just been compiled
        try:
            make_adapter(self)
        except ValueError as error:
            fault = ValidationError(str(error), code="adapter")
            raise ValidationError({"adapter": fault}) from None

    def _faults(self) -> dict[str, str]:
        """Return a sentence for each faulty key of the definition, or column of that name."""
        stored = Vendor.objects.filter(pk=self.pk).first()
        refusal = self.removal_refusal(stored) if stored else ""
        return ({"credential": refusal} if refusal else {}) | validation.faults_of(self)

    @cached_property
    def settings_key(self) -> tuple[Any, ...]:
        """All fields as a key: equal keys mean that nothing has changed."""
        values = (getattr(self, field.attname) for field in self._meta.concrete_fields)
        credential = self.credential.settings_key if self.credential else ()
        limits = ((row.slug, row.version) for row in self.named_limits.values())
        return (*values, credential, *limits)
