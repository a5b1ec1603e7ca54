"""How to prove to vendors who we are: a row without the key."""

from collections.abc import Iterable
from typing import Any

import uuid_utils
from django.core.exceptions import ValidationError
from django.db import models

from vendors import credentials, validators
from vendors.credentials import Placement
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.request import Request
from vendors.fields import JSONTextField


def new_id() -> str:
    """Return a new UUIDv7 as text; later ones sort after earlier ones."""
    return str(uuid_utils.uuid7())


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

    def apply(self, request: Request) -> Request:
        """Return the request with the key in its place. Raises ValueError if there is no such place
        or no key.
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
