"""What a vendor's row reads from the environment: its keys and secrets, and what they lack."""

import re
from collections.abc import Iterator
from functools import cached_property
from urllib.parse import unquote, urlsplit

from django.db import models

from vendors import validators, variables
from vendors.credentials import basic
from vendors.definitions.callback import CallbackProof, parse_proof
from vendors.definitions.faults import DefinitionFaults
from vendors.fields import JSONTextField
from vendors.models import key_use
from vendors.models.credential import Credential
from vendors.payloads.masking import spellings

# Of what is masked in results: a shorter text may well be a word of the data.
MIN_LENGTH_IN_RESULTS = 8
MIN_LENGTH = 4  # of what is masked: a shorter text is no secret, and part of many words


class VendorSecrets(models.Model):
    """The columns that name variables, and the current values of these. A value is never stored."""

    api_key_env = models.CharField(
        "API key variable",
        max_length=100,
        blank=True,
        validators=[validators.validate_variable],
        help_text="The environment variable with the API key. The key itself is not stored.",
    )
    webhook_secret_env = models.CharField(
        "webhook secret variable",
        max_length=100,
        blank=True,
        validators=[validators.validate_variable],
        help_text="The environment variable with the secret that signs callbacks. "
        "It may hold several, separated by commas, for rotation.",
    )
    # What else its table in TOML says (docs/vendors.md).
    definition = JSONTextField(default=dict, blank=True)

    class Meta:
        abstract = True

    @cached_property
    def credential(self) -> Credential | None:
        """The credential that the definition names. The catalogue sets it from its own copy."""
        slug = self.definition.get("credential")
        return Credential.objects.filter(slug=slug).first() if slug else None

    @property
    def credential_fault(self) -> str:
        """Why the credential can't be used; empty if it can, or if none is named."""
        slug = self.definition.get("credential")
        if not slug:
            return ""
        return self.credential.fault if self.credential else f"There is no credential {slug!r}."

    def removal_refusal(self, stored: "VendorSecrets") -> str:
        """Return why the vendor may not have another credential than it has; '' if it may."""
        slug, old = self.definition.get("credential"), stored.credential
        if old is None or old.slug == slug:
            return ""
        new = self.credential  # it may not be stored yet, or be that of the old definition
        names = new.key_names if new and new.slug == slug else []
        return key_use.removal_refusal(old.slug, old.key_names, names, vendor=str(stored))

    @property
    def api_key(self) -> str:
        """The current value of the API key variable; empty if none is named or set."""
        # A key read from a file ends with a line break, which no header may hold.
        return variables.value(self.api_key_env).strip() if self.api_key_env else ""

    @property
    def api_key_fault(self) -> str:
        """Why the API key can't be used; empty if it can, or if none is named."""
        if not self.api_key_env:
            return ""
        key = self.api_key
        if key and not (key.isascii() and key.isprintable()):
            return f"The variable {self.api_key_env} holds characters that no API key can have."
        return variables.missing(self.api_key_env)

    @property
    def webhook_secrets(self) -> list[str]:
        """The current secrets in the named variable: several during a rotation."""
        value = variables.value(self.webhook_secret_env)
        return [part for part in re.split(r"[,\s]+", value) if part]

    @property
    def webhook_secret_fault(self) -> str:
        """Why callbacks can't be verified; empty if they can, or if no variable is named."""
        name = self.webhook_secret_env
        if not name:
            return ""
        if fault := variables.missing(name):
            return fault
        if not any(map(variables.signing_key, self.webhook_secrets)):
            return f"The variable {name} must hold base64, with or without whsec_ in front."
        return ""

    @cached_property
    def callback_proof(self) -> CallbackProof | None:
        """What callbacks must prove besides their token, as the definition says. Raises
        DefinitionFaults if that is not understood: then no callback may be accepted.
        """
        callback = self.definition.get("callback")
        return None if callback is None else parse_proof(callback)

    @property
    def callback_secrets(self) -> list[str]:
        """The current secrets of the proof: several during a rotation. Raises DefinitionFaults."""
        proof = self.callback_proof
        value = variables.value(proof.secret_env) if proof and proof.secret_env else ""
        # Unlike keys in base64, a secret may contain spaces.
        return [part.strip() for part in value.split(",") if part.strip()]

    @property
    def callback_fault(self) -> str:
        """Why all callbacks are refused; empty if they are not."""
        try:
            proof = self.callback_proof
        except DefinitionFaults as error:
            return str(error)
        if not proof or not proof.secret_env:
            return ""
        is_unusable = not any(map(variables.signing_key, self.callback_secrets))
        if proof.standard_webhooks and is_unusable and not variables.missing(proof.secret_env):
            return f"The variable {proof.secret_env} must hold base64."
        return variables.missing(proof.secret_env)

    @property
    def secrets(self) -> list[str]:
        """Every value that must be masked wherever it appears, longest first."""
        found = {
            self.api_key,
            *self.webhook_secrets,
            *(self.credential.secrets if self.credential else ()),
            *_of_callbacks(self.definition.get("callback")),
            *_of_proxy(self.definition.get("proxy_env")),
        }
        return sorted((it for it in found if len(it) >= MIN_LENGTH), key=len, reverse=True)

    @property
    def secrets_in_results(self) -> frozenset[str]:
        """Every spelling of every secret that is masked in what clients see.

        Made anew only if a variable has changed, because each result is searched for them.
        """
        values = variables.values(self._names)
        if self._hidden[0] != values:
            long = (secret for secret in self.secrets if len(secret) >= MIN_LENGTH_IN_RESULTS)
            found = frozenset(spelling for secret in long for spelling in spellings(secret))
            self._hidden = values, found
        return self._hidden[1]

    _hidden: tuple[tuple[str, ...], frozenset[str]] = ((), frozenset())

    @cached_property
    def has_secrets(self) -> bool:
        """Whether any variable is named. If not, no result is searched."""
        return bool(self._names)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.variable_names)

    @property
    def variable_names(self) -> set[str]:
        """The names of all variables whose values calls and callbacks use."""
        callback = self.definition.get("callback")
        found = [
            self.api_key_env,
            self.webhook_secret_env,
            *(self.credential.variable_names if self.credential else ()),
            callback.get("secret_env") if isinstance(callback, dict) else "",
            self.definition.get("proxy_env"),
        ]
        return {name for name in found if isinstance(name, str) and name}


def _of_callbacks(callback: object) -> Iterator[str]:
    """Yield the secrets that prove callbacks, even if the rest of the definition is wrong."""
    name = callback.get("secret_env") if isinstance(callback, dict) else None
    value = variables.value(name) if isinstance(name, str) else ""
    for secret in map(str.strip, value.split(",")):
        yield secret
        if ":" in secret:  # of basic authentication
            yield basic(secret)
            yield from secret.partition(":")[::2]


def _of_proxy(name: object) -> Iterator[str]:
    """Yield the password of a proxy's URL, as the URL and as the header spells it."""
    url = variables.value(name).strip() if isinstance(name, str) else ""
    try:
        parts = urlsplit(url)
    except ValueError:
        return
    if parts.password:
        user, password = unquote(parts.username or ""), unquote(parts.password)
        yield from (parts.password, password)
        yield basic(f"{user}:{password}")
