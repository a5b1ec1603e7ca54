"""Creates, rotates and revokes API keys.

Each act writes its audit entry first, since MongoDB has no transactions: a crash may leave an entry
without its act, but never an act, or a valid key, without an entry.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from audit.record import Actor, record
from clients.directory import directory
from clients.keys import digest, masked, new_key, public_part
from clients.models import ApiKey, Client
from clients.validators import validate_vendors
from vendors.catalogue import listed

DEFAULT_OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=7)
MAX_LIFE = timedelta(days=36525)
COPIED = ("name", "scopes", "vendors", "addresses")


class IssuingError(ValueError):
    """A sentence that says why a key can't be rotated, and what to do instead."""


@dataclass(frozen=True)
class Issued:
    """A new key. `text` is the key itself: shown once, and stored nowhere."""

    key: ApiKey
    text: str = field(repr=False)


def create(client: Client, actor: Actor, **fields: Any) -> Issued:
    """Create a key with these fields of ApiKey. Raises ValidationError if they are not valid, or if
    there is a key with this `id`.
    """
    issued = draft(client, **fields)
    with transaction.atomic():
        _insert(issued.key, actor)
    directory.forget()
    return issued


@sensitive_variables("text")
def draft(client: Client, **fields: Any) -> Issued:
    """Return a key that is not stored. Raises ValidationError if its fields are not valid."""
    text = new_key()
    key = ApiKey(client=client, public=public_part(text), digest=digest(text), **fields)
    _validate(key)
    return Issued(key, text)


@sensitive_variables("text")
def rotate(
    key: ApiKey, actor: Actor, *, overlap: timedelta = DEFAULT_OVERLAP, **fields: str
) -> Issued:
    """Create a key in place of this one, which stays valid for `overlap` (0 to 7 days) at most.

    The new key may do what this one may, and lasts as long as this one was made for. Raises
    IssuingError if this key is not valid any more or was rotated before, or for another overlap.
    `fields`: the `id` of the new key, unless any will do.
    """
    if not timedelta() <= overlap <= MAX_OVERLAP:
        raise IssuingError("The old key can stay valid for 0 to 7 days after the rotation.")
    text = new_key()
    with transaction.atomic():
        key.refresh_from_db()
        now = timezone.now()
        _refuse_rotation(key, now)
        new = ApiKey(client=key.client, public=public_part(text), digest=digest(text), **fields)
        for name in COPIED:
            setattr(new, name, getattr(key, name))
        new.expires_at = now + (key.expires_at - key.created_at) if key.expires_at else None
        _insert(new, actor)
        ends_at = min(now + overlap, key.expires_at) if key.expires_at else now + overlap
        changes = {"replaced_by": new.public, "expires_at": ends_at}
        if not _change(key, actor, "api_key.rotated", changes):
            revoke(new, actor, reason=f"{key} was rotated or revoked at the same time.")
            raise IssuingError("The key was rotated or revoked at the same time. Look it up.")
    directory.forget()
    return Issued(new, text)


def revoke(key: ApiKey, actor: Actor, *, reason: str = "") -> bool:
    """End the key's validity at once, and for good. False: it was revoked before."""
    with transaction.atomic():
        key.refresh_from_db()
        changes = {"revoked_at": timezone.now()}
        is_changed = not key.revoked_at and _change(
            key, actor, "api_key.revoked", changes, reason=masked(reason)
        )
    directory.forget()
    return is_changed


def _validate(key: ApiKey) -> None:
    faults: dict[str, Any] = {}
    try:
        key.full_clean(exclude={"client"})  # which may be new as well
    except ValidationError as error:
        faults = error.update_error_dict(faults)
    if key.expires_at and key.expires_at <= timezone.now():
        faults["expires_at"] = "Choose a time in the future."
    elif key.expires_at and key.expires_at - timezone.now() > MAX_LIFE:
        faults["expires_at"] = "Choose a time within 100 years, or none if the key has no end."
    if masked(key.name) != key.name:
        faults["name"] = "Remove the API key from the name."
    try:
        _validate_vendors(key)
    except ValidationError as error:
        faults.setdefault("vendors", error)
    if faults:
        raise ValidationError(faults)


def _validate_vendors(key: ApiKey) -> None:
    allowed = key.client.allowed_vendors
    if allowed and (others := key.allowed_vendors - allowed):
        raise ValidationError(
            f"Client {key.client} may not use {listed(others)}. It may use {listed(allowed)}."
        )
    validate_vendors(key.allowed_vendors)


def target(key: ApiKey) -> str:
    """Return how audit entries name the key."""
    return f"api_key:{key.public}"


def _refuse_rotation(key: ApiKey, now: datetime) -> None:
    if not key.is_valid(now):
        raise IssuingError(f"API key {key} is revoked or has expired. Create a new key.")
    if key.replaced_by:
        raise IssuingError(
            f"API key {key} was rotated before: elk_{key.replaced_by} replaces it. Rotate that "
            "key, or create a new one."
        )


def _insert(key: ApiKey, actor: Actor) -> None:
    values = {name: getattr(key, name) for name in (*COPIED, "expires_at")}
    values["client"] = key.client.slug
    changes = {name: [None, _text(value)] for name, value in values.items() if value}
    record(actor, "api_key.created", target(key), changes)
    key.save(force_insert=True)


def _change(
    key: ApiKey, actor: Actor, action: str, fields: dict[str, Any], *, reason: str = ""
) -> bool:
    """Change the row unless it was revoked or rotated since it was read."""
    changes = {name: [_text(getattr(key, name)), _text(new)] for name, new in fields.items()}
    record(actor, action, target(key), changes, reason=reason)
    unchanged = ApiKey.objects.filter(pk=key.pk, revoked_at=None)
    if "replaced_by" in fields:
        unchanged = unchanged.filter(replaced_by="")
    is_changed = bool(unchanged.update(**fields))
    if is_changed:
        for name, new in fields.items():
            setattr(key, name, new)
    return is_changed


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
