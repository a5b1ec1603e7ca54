"""Creates, rotates and revokes API keys. Each act leaves an audit entry."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from audit.record import Actor, record
from clients.directory import directory
from clients.keys import digest, new_key, public_part
from clients.models import ApiKey, Client

DEFAULT_OVERLAP = timedelta(hours=24)
MAX_OVERLAP = timedelta(days=7)
COPIED = ("name", "scopes", "vendors", "addresses")


@dataclass(frozen=True)
class Issued:
    """A new key. `text` is the key itself: shown once, and stored nowhere."""

    key: ApiKey
    text: str


def create(client: Client, actor: Actor, **fields: Any) -> Issued:
    """Create a key with these fields of ApiKey. Raises ValidationError if they are not valid."""
    text = new_key()
    key = ApiKey(client=client, public=public_part(text), digest=digest(text), **fields)
    key.full_clean()
    with transaction.atomic():
        key.save(force_insert=True)
        record(actor, "api_key.created", target(key), _shown(key))
    directory.forget()
    return Issued(key, text)


def rotate(
    key: ApiKey,
    actor: Actor,
    *,
    overlap: timedelta = DEFAULT_OVERLAP,
    expires_at: datetime | None = None,
) -> Issued:
    """Create a key like this one, which stays valid for `overlap` (0 to 7 days) at most.

    Raises ValueError if this key is not valid any more, or for another overlap.
    """
    now = timezone.now()
    if not key.is_valid(now):
        raise ValueError("This key is revoked or has expired. Create a new one.")
    if not timedelta() <= overlap <= MAX_OVERLAP:
        raise ValueError("The old key can stay valid for 0 to 7 days.")
    copied = {name: getattr(key, name) for name in COPIED}
    issued = create(key.client, actor, **copied, expires_at=expires_at)
    ends_at = min(now + overlap, key.expires_at or datetime.max.replace(tzinfo=now.tzinfo))
    _change(key, actor, "api_key.rotated", expires_at=ends_at)
    return issued


def revoke(key: ApiKey, actor: Actor, *, reason: str = "") -> None:
    """End the key's validity at once. Revoking it again changes nothing."""
    if key.revoked_at is None:
        _change(key, actor, "api_key.revoked", reason, revoked_at=timezone.now())


def target(key: ApiKey) -> str:
    """Return how audit entries name the key."""
    return f"api_key:{key.public}"


def _change(key: ApiKey, actor: Actor, action: str, reason: str = "", **fields: Any) -> None:
    before = {name: getattr(key, name) for name in fields}
    for name, value in fields.items():
        setattr(key, name, value)
    with transaction.atomic():
        key.save(update_fields=list(fields))
        changes = {name: [_text(before[name]), _text(value)] for name, value in fields.items()}
        record(actor, action, target(key), changes, reason=reason)
    directory.forget()


def _shown(key: ApiKey) -> dict[str, list[Any]]:
    values = {name: getattr(key, name) for name in (*COPIED, "expires_at")}
    values["client"] = key.client.slug
    return {name: [None, _text(value)] for name, value in values.items() if value}


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
