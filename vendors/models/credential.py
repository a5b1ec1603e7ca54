"""How to prove to vendors who we are: a row without the key."""

from collections.abc import Iterable
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple

from django.db import models

from vendors import credentials, validators, variables
from vendors.base import Access
from vendors.credentials import Scheme
from vendors.credentials.grants import Grant
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.request import Request
from vendors.fields import JSONTextField
from vendors.models import key_use
from vendors.models.ids import new_id
from vendors.models.pausable import UNPAID_REASONS, Pausable


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

    def allows_polls(self, now: datetime) -> bool:
        """Whether jobs that were called with it may be polled: also while it is out of credits."""
        is_unpaid = not self.paused_by and self.pause_reason in UNPAID_REASONS
        return is_unpaid or not self.is_paused(now)


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
        permissions = [("change_credential_target", "Can change where credentials are sent")]

    _parsed: tuple[object, Scheme | None] = (None, None)  # a definition, and what it says

    def __str__(self) -> str:
        return self.slug

    @cached_property
    def states(self) -> dict[str, CredentialKey]:
        """The states of its keys, by name. The catalogue sets them from its own copies."""
        return {key.name: key for key in CredentialKey.objects.filter(credential=self.slug)}

    @property
    def scheme(self) -> Scheme:
        """Where the key stands, and which variables hold one. Raises DefinitionFaults."""
        # Parsed once, but a form may give the row another definition.
        definition, scheme = self._parsed
        if scheme is None or definition is not self.definition:
            scheme = credentials.parse(self.definition)
            self._parsed = self.definition, scheme
        return scheme

    @property
    def fault(self) -> str:
        """Why this process can make no call with this credential; empty if it can with any key."""
        try:
            scheme = self.scheme
        except DefinitionFaults as error:
            return f"The credential {self.slug} can't be used: {error}"
        found = [self.faults[name] for name in scheme.keys]
        return " ".join(dict.fromkeys(found)) if all(found) else ""

    @property
    def faults(self) -> dict[str, str]:
        """Why this process can't use its keys, by name; '' for those that it can use."""
        # Made anew only if a variable has changed, because each take asks.
        try:
            names, needed = self.scheme.names, self.scheme.variables
        except DefinitionFaults:
            return {}
        values = (names, *variables.values(needed))
        if self._seen[0] != values:
            self._seen = values, {name: self.scheme.fault(name) for name in names}
        return self._seen[1]

    _seen: tuple[tuple[object, ...], dict[str, str]] = ((), {})

    @property
    def secrets(self) -> list[str]:
        """All its keys, in every spelling that may appear."""
        try:
            return list(self.scheme.secrets)
        except DefinitionFaults:
            return []

    @property
    def key_names(self) -> list[str]:
        """The names of its keys, which are those of their variables: the retired ones last."""
        return credentials.names_of(self.definition)

    @property
    def retired(self) -> list[str]:
        """The names of the keys that no new call is made with."""
        found = self.definition.get("retired_env")
        return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []

    @property
    def variable_names(self) -> list[str]:
        """The names of all variables that hold a key or a secret of it."""
        return credentials.variables_of(self.definition)

    @property
    def settings_key(self) -> tuple[Any, ...]:
        """What calls depend on, as a key: equal keys mean that nothing has changed."""
        known: dict[str, CredentialKey] = vars(self).get("states", {})  # without a query
        states = (
            (key.name, key.paused, key.paused_until, key.pause_reason) for key in known.values()
        )
        return (self.definition, *states)

    @property
    def has_others(self) -> bool:
        """Whether calls are made with more than one key."""
        try:
            return len(self.scheme.keys) > 1
        except DefinitionFaults:
            return False

    def key_of(self, name: str) -> str:
        """Return the key that a call is made with, by its variable's name: `name` or, for '', the
        first that this process can use.
        """
        if name:
            return name
        try:
            keys = self.scheme.keys
        except DefinitionFaults:
            return ""
        return next((key for key in keys if not self.faults[key]), keys[0])

    def pool(self, now: datetime, *, anywhere: bool = False) -> list[PoolKey]:
        """Return all its keys, those that are retired last, and what this process may use each for;
        with `anywhere`, what one that has all of their variables may.

        `now` is by the clock that pauses are compared with. Raises DefinitionFaults.
        """
        scheme, faults = self.scheme, {} if anywhere else self.faults
        retired = frozenset(scheme.retired)
        return [
            self._pool_key(name, now, is_usable=not faults.get(name), is_retired=name in retired)
            for name in scheme.names
        ]

    def _pool_key(self, name: str, now: datetime, *, is_usable: bool, is_retired: bool) -> PoolKey:
        state = self.states.get(name)
        if not is_usable or (state and not state.allows_polls(now)):
            return PoolKey(name, calls=False, polls=False)
        is_paused = state is not None and state.is_paused(now)
        return PoolKey(name, calls=not (is_retired or is_paused))

    @property
    def grant(self) -> Grant | None:
        """How it gets the tokens that it needs; None if it needs none, or can't be used."""
        try:
            return self.scheme.grant
        except DefinitionFaults:
            return None

    def apply(self, request: Request, access: Access, reference: str = "") -> Request:
        """Return the request with the key or token of `access` in its place, and signed if it must
        be. Raises ValueError if there is no such place or no key.
        """
        try:
            scheme = self.scheme
        except DefinitionFaults:
            raise ValueError(self.fault) from None
        return credentials.apply(scheme, request, access, reference)

    def clean(self) -> None:
        validators.validate_same_slug(self)

    def full_clean(self, exclude: Iterable[str] | None = None, *args: Any, **kwargs: Any) -> None:
        excluded = set(exclude or ())
        # An empty definition lacks a key, which says more than that the field is empty.
        super().full_clean({*excluded, "definition"}, *args, **kwargs)
        if "definition" in excluded:
            return
        try:
            grant = credentials.parse(self.definition).grant
        except DefinitionFaults as error:
            raise validators.at_keys(error.faults) from None
        if grant and (refusal := validators.url_refusal(grant.url)):
            raise validators.at_keys({grant.url_key: refusal})
        if refusal := self._removal_refusal():
            names = ("retired_env", "keys_env")
            at = next((name for name in names if name in self.definition), "")
            raise validators.at_keys({at: refusal})

    def _removal_refusal(self) -> str:
        """Return why it must keep a key that it had; '' if it need not."""
        stored = Credential.objects.filter(pk=self.pk).first()
        old = stored.key_names if stored else []
        return key_use.removal_refusal(self.slug, old, self.key_names)
