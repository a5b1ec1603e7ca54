"""How to prove to vendors who we are: a row without the key."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.core.exceptions import ValidationError
from django.db import models

from vendors import credentials, validators
from vendors.base import Access
from vendors.credentials import Placement
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.request import Request
from vendors.fields import JSONTextField
from vendors.models.ids import new_id
from vendors.models.pausable import Pausable


class PoolKey(NamedTuple):
    """A key of a credential, by its variable's name, and what it may be used for now."""

    name: str
    calls: bool = True
    polls: bool = True


class CredentialKey(Pausable):
    """The state of one key of a credential. A key without a row is not paused."""

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    credential = models.CharField(max_length=50)  # its slug
    name = models.CharField(max_length=100)  # of the variable that holds it

    class Meta:
        default_permissions = ()
        ordering = ("credential", "name")
        constraints = [
            models.UniqueConstraint(fields=["credential", "name"], name="credential_key_unique")
        ]

    def __str__(self) -> str:
        return self.name


class Credential(models.Model):
    """How to prove to vendors who we are. The keys themselves are in environment variables."""

    id = models.CharField(
        primary_key=True, max_length=36, db_column="_id", default=new_id, editable=False
    )
    slug = models.CharField(max_length=50, unique=True, validators=[validators.validate_slug])
    # As in TOML: {"header": "X-Api-Key", "keys_env": ["VENDOR_PDL_KEY"]}
    definition = JSONTextField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("slug",)
        indexes = [models.Index(fields=["slug"], name="credential_slug")]

    _parsed: tuple[object, Placement | None] = (None, None)  # a definition, and what it says

    def __str__(self) -> str:
        return self.slug

    @cached_property
    def states(self) -> dict[str, CredentialKey]:
        """The states of its keys, by name. The catalogue sets them from its own copies."""
        return {key.name: key for key in CredentialKey.objects.filter(credential=self.slug)}

    @property
    def placement(self) -> Placement:
        """Where the key stands. Raises DefinitionFaults."""
        # Parsed once, but a form may give the row another definition.
        definition, placement = self._parsed
        if placement is None or definition is not self.definition:
            placement = credentials.parse(self.definition)
            self._parsed = self.definition, placement
        return placement

    @property
    def fault(self) -> str:
        """Why no request can be made with this credential; empty if it can."""
        try:
            return self.placement.fault
        except DefinitionFaults as error:
            return f"The credential {self.slug} can't be used: {error}"

    @property
    def secrets(self) -> list[str]:
        """The key, in every spelling that may appear."""
        try:
            return list(self.placement.secrets)
        except DefinitionFaults:
            return []

    @property
    def variable_names(self) -> list[str]:
        """The names of the variables that hold its keys."""
        return credentials.variables_of(self.definition)

    @property
    def settings_key(self) -> tuple[Any, ...]:
        """What calls depend on, as a key: equal keys mean that nothing has changed."""
        known: dict[str, CredentialKey] = vars(self).get("states", {})  # without a query
        states = ((key.name, key.paused, key.paused_until) for key in known.values())
        return (self.definition, *states)

    def pool(self, now: datetime) -> list[PoolKey]:
        """Return its keys, in the order of the definition."""
        return [PoolKey(name) for name in self.variable_names]

    def apply(self, request: Request, access: Access) -> Request:
        """Return the request with the key of `access` in its place. Raises ValueError if there is
        no such place or no key.
        """
        if fault := self.fault:
            raise ValueError(fault)
        return credentials.apply(self.placement, request)

    def clean(self) -> None:
        stored = Credential.objects.filter(pk=self.pk).values_list("slug", flat=True).first()
        if stored is not None and stored != self.slug:
            raise ValidationError({"slug": f"The slug can't be changed. It is {stored!r}."})

    def full_clean(self, exclude: Iterable[str] | None = None, *args: Any, **kwargs: Any) -> None:
        excluded = set(exclude or ())
        # An empty definition lacks a key, which says more than that the field is empty.
        super().full_clean({*excluded, "definition"}, *args, **kwargs)
        if "definition" in excluded:
            return
        try:
            credentials.parse(self.definition)
        except DefinitionFaults as error:
            raise validators.at_keys(error.faults) from None
