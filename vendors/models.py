"""The settings of one vendor: a row that operators edit, in force within a second."""

import re
from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any

import uuid_utils
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models

from vendors import limits, urls, variables
from vendors.registry import adapter_class, make


def new_id() -> str:
    """Return a fresh UUIDv7 as text; later ones sort after earlier ones."""
    return str(uuid_utils.uuid7())


def validate_rate_limits(text: str) -> None:
    try:
        limits.parse(text)
    except ValueError as error:
        raise ValidationError(str(error), code="rate_limits") from None


def validate_adapter(name: str) -> None:
    try:
        adapter_class(name)
    except ValueError as error:
        raise ValidationError(str(error), code="adapter") from None


def validate_url(url: str) -> None:
    if sentence := urls.refusal(url):
        raise ValidationError(sentence, code="url")


def validate_variable(name: str) -> None:
    if sentence := variables.refusal(name):
        raise ValidationError(sentence, code="variable")


validate_slug = RegexValidator(
    r"^[a-z0-9][a-z0-9_-]*\Z",
    "Use lower-case letters, digits, - and _ only, and begin with a letter or digit.",
    code="slug",
)


class Vendor(models.Model):
    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    slug = models.CharField(
        max_length=50,
        unique=True,
        validators=[validate_slug],
        help_text="Its name in jobs, URLs and logs; never changes.",
    )
    adapter = models.CharField(
        max_length=200,
        validators=[validate_adapter],
        help_text="sync (answers at once), async (answers by callback), or adapters.FILE.CLASS for a class of your own.",
    )
    url = models.CharField(
        "URL", max_length=2000, validators=[validate_url], help_text="Where its jobs are posted to."
    )
    enabled = models.BooleanField(
        default=True, help_text="Off: new jobs are refused, accepted ones are still done."
    )

    rate_limits = models.CharField(
        max_length=200,
        blank=True,
        validators=[validate_rate_limits],
        help_text="All hold at once, for example 10/s, 500/min, 20000/day. Empty: no limit.",
    )
    arrival_margin_ms = models.PositiveIntegerField(
        default=70,
        validators=[MaxValueValidator(10_000)],
        help_text="Added to the length of each limit for the time that calls spend on their way, so that the vendor never "
        "counts more than a limit allows. 0: starts are exact, and the vendor may count more.",
    )
    max_in_flight = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Most jobs called or waiting for a callback at a time. Empty: no cap.",
    )
    max_queued = models.PositiveIntegerField(
        null=True,
        blank=True,
        default=1_000_000,
        validators=[MinValueValidator(1)],
        help_text="Most jobs waiting; further ones are refused as queue_full until some are done. Empty: no bound.",
    )
    timeout_seconds = models.FloatField(
        default=30,
        validators=[MinValueValidator(0.1), MaxValueValidator(3600)],
        help_text="For one whole call.",
    )
    max_attempts = models.PositiveIntegerField(
        default=5,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Tries that may fail before the job fails. Waiting for a limit or an outage spends none.",
    )
    callback_timeout_seconds = models.FloatField(
        default=3600,
        validators=[MinValueValidator(1), MaxValueValidator(30 * 86400)],
        help_text="For a callback to come.",
    )
    repeat_unknown = models.BooleanField(
        default=True,
        help_text="When it is unknown whether the vendor took a call: on, call again with the same idempotency key; "
        "off, fail the job as outcome_unknown.",
    )
    repeat_overdue = models.BooleanField(
        default=False,
        help_text="When a callback never came: on, call again; off, fail the job as callback_overdue.",
    )

    redact = models.CharField(
        max_length=1000,
        blank=True,
        default="ssn",
        help_text="Fields that are removed from whatever the vendor sends, at any depth; separated by commas.",
    )
    api_key_env = models.CharField(
        "API key variable",
        max_length=100,
        blank=True,
        validators=[validate_variable],
        help_text="The environment variable that holds the API key; the key itself is not stored.",
    )
    webhook_secret_env = models.CharField(
        "webhook secret variable",
        max_length=100,
        blank=True,
        validators=[validate_variable],
        help_text="The environment variable that holds the secret of signed callbacks; several, split by commas, for rotation.",
    )

    paused = models.BooleanField(default=False, help_text="On: jobs are accepted, and wait.")
    paused_until = models.DateTimeField(
        null=True, blank=True, help_text="Set when the vendor asks us to slow down."
    )
    pause_reason = models.CharField(max_length=200, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)  # since when it is paused
    paused_by = models.CharField(
        max_length=150, blank=True
    )  # the operator's name; empty where it was paused by itself
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)
        permissions = [
            (
                "change_vendor_target",
                "Can change where a vendor's calls go, by which adapter and with which keys",
            )
        ]
        # MongoDB cannot look up by the index of a unique field (docs/decisions/0002-mongodb.md).
        indexes = [models.Index(fields=["slug"], name="vendor_slug")]

    def __str__(self) -> str:
        return self.slug

    @cached_property
    def windows(self) -> list[limits.Window]:
        """The windows that starts of calls are held to: those of the rate limits, longer by the
        arrival margin.
        """
        return limits.parse(self.rate_limits, margin_seconds=self.arrival_margin_ms / 1000)

    @cached_property
    def redacted_fields(self) -> frozenset[str]:
        return frozenset(word.lower() for word in re.split(r"[,\s]+", self.redact) if word)

    @property
    def api_key(self) -> str:
        """The key that the named variable holds now; empty where none is named."""
        # Without the line break that a key read from a file ends with: no header may hold one.
        return variables.value(self.api_key_env).strip() if self.api_key_env else ""

    @property
    def api_key_fault(self) -> str:
        """Why the API key can't be used; empty where it can, or none is named."""
        if not self.api_key_env:
            return ""
        key = self.api_key
        if key and not (key.isascii() and key.isprintable()):
            return f"The variable {self.api_key_env} holds characters that no API key can have."
        return variables.missing(self.api_key_env)

    @property
    def webhook_secrets(self) -> list[str]:
        """The secrets that the named variable holds now: several while one is being replaced."""
        return [
            part for part in re.split(r"[,\s]+", variables.value(self.webhook_secret_env)) if part
        ]

    @property
    def webhook_secret_fault(self) -> str:
        """Why callbacks can't be verified; empty where they can, or none is named."""
        if not self.webhook_secret_env:
            return ""
        if fault := variables.missing(self.webhook_secret_env):
            return fault
        if not any(map(variables.signing_key, self.webhook_secrets)):
            return f"The variable {self.webhook_secret_env} must hold base64 text, with or without whsec_ before it."
        return ""

    def is_paused(self, now: datetime) -> bool:
        return self.paused or (self.paused_until is not None and self.paused_until > now)

    def clean(self) -> None:
        stored = Vendor.objects.filter(pk=self.pk).values_list("slug", flat=True).first()
        if stored is not None and stored != self.slug:
            raise ValidationError(
                {"slug": f"The slug of a vendor never changes; this one is {stored!r}."}
            )

    def full_clean(self, exclude: Iterable[str] | None = None, *args: Any, **kwargs: Any) -> None:
        excluded = set(exclude or ())
        super().full_clean(excluded, *args, **kwargs)
        if "adapter" in excluded:
            return
        try:
            make(self)
        except ValueError as error:
            raise ValidationError(
                {"adapter": ValidationError(str(error), code="adapter")}
            ) from None

    @cached_property
    def settings_key(self) -> tuple[Any, ...]:
        """Everything that a worker acts on: equal keys mean that nothing has changed."""
        return tuple(getattr(self, field.attname) for field in self._meta.concrete_fields)
