"""Who may call the API: clients, and their API keys."""

from datetime import datetime
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_network

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from clients import validators
from clients.keys import PREFIX
from clients.validators import words
from vendors import limits
from vendors.models import new_id
from vendors.validators import validate_slug

DEFAULT = "default"  # the client of requests without a key, and of jobs from before there were any


class Client(models.Model):
    """A team or a program that calls the API. Its jobs name it by its slug."""

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    slug = models.CharField(
        max_length=50,
        unique=True,
        validators=[validate_slug],
        help_text="The client's name in jobs and logs. It can't be changed later.",
    )
    name = models.CharField(max_length=200, blank=True, help_text="For people.")
    enabled = models.BooleanField(
        default=True, help_text="Off: its keys are refused. Accepted jobs still run."
    )
    vendors = models.CharField(
        "allowed vendors",
        max_length=2000,
        blank=True,
        validators=[validators.validate_slugs],
        help_text="Slugs, separated by commas. Empty: all vendors.",
    )
    request_limits = models.CharField(
        max_length=200,
        blank=True,
        validators=[validators.validate_request_limits],
        help_text="For example 50/s, 1000/min: of all its keys together. Empty: no limit.",
    )
    note = models.TextField(max_length=2000, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("slug",)
        # MongoDB can't use the index of a unique field for look-ups
        # (docs/decisions/0002-mongodb.md).
        indexes = [models.Index(fields=["slug"], name="client_slug")]

    def __str__(self) -> str:
        return self.slug

    @cached_property
    def windows(self) -> list[limits.Window]:
        """The request limits, shortest first."""
        return limits.parse(self.request_limits)

    @property
    def allowed_vendors(self) -> frozenset[str]:
        """The slugs of the vendors that it may use; empty for all."""
        return frozenset(words(self.vendors))

    def clean(self) -> None:
        stored = Client.objects.filter(pk=self.pk).first()
        if stored and stored.slug != self.slug:
            raise ValidationError({"slug": f"The slug can't be changed. It is {stored.slug!r}."})
        try:
            validators.validate_vendors(self.allowed_vendors - (stored or Client()).allowed_vendors)
        except ValidationError as error:
            raise ValidationError({"vendors": error}) from None


class ApiKey(models.Model):
    """An API key of a client, without its secret. Create, rotate and revoke keys with
    `clients.issuing`.
    """

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    client = models.ForeignKey(Client, models.PROTECT, related_name="api_keys")
    name = models.CharField(max_length=100, help_text="What uses the key, such as nightly import.")
    public = models.CharField("public part", max_length=8, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)  # clients.keys.digest of the key
    scopes = models.CharField(max_length=200, validators=[validators.validate_scopes])
    vendors = models.CharField(
        max_length=2000,
        blank=True,
        validators=[validators.validate_slugs],
        help_text="Slugs, separated by commas. Empty: all vendors of the client.",
    )
    addresses = models.CharField(
        "allowed addresses",
        max_length=1000,
        blank=True,
        validators=[validators.validate_networks],
        help_text="Addresses or networks from which the key may be used, separated by commas: "
        "192.0.2.7, 10.0.0.0/8. Empty: any.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # The public part of the key that a rotation created in its place
    replaced_by = models.CharField(max_length=8, blank=True, default="", editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty: never.")
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)  # to the minute

    class Meta:
        verbose_name = "API key"
        default_permissions = ("view",)
        permissions = [("manage_apikey", "Can create, rotate and revoke API keys")]
        indexes = [models.Index(fields=["public"], name="apikey_public")]

    def __str__(self) -> str:
        return f"{PREFIX}{self.public}"

    def is_valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    @property
    def granted_scopes(self) -> frozenset[str]:
        return frozenset(words(self.scopes))

    @property
    def allowed_vendors(self) -> frozenset[str]:
        """The slugs of the vendors that it may use, of those of its client; empty for all."""
        return frozenset(words(self.vendors))

    @property
    def networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(word) for word in words(self.addresses))
