"""Creates, changes and deletes clients. Each act writes its audit entry first, as clients.issuing
does.
"""

from collections.abc import Collection
from typing import Any

from django.db import transaction

from audit.record import Actor, record
from clients.directory import directory
from clients.keys import masked
from clients.models import Client

FIELDS = ("slug", "name", "enabled", "vendors", "request_limits", "note")


def create(client: Client, actor: Actor) -> None:
    """Store a new client. Raises ValidationError if its fields are not valid."""
    client.full_clean()
    changes = {name: [None, _kept(getattr(client, name))] for name in _filled(client)}
    with transaction.atomic():
        record(actor, "client.created", target(client), changes)
        client.save(force_insert=True)
    directory.forget()


def change(client: Client, actor: Actor, names: Collection[str]) -> dict[str, list[Any]]:
    """Store these fields of the client, and return their old and new values. Another's changes of
    other fields, made since the client was read, stay.
    """
    stored = Client.objects.filter(pk=client.pk).values(*FIELDS).first() or {}
    changes = {
        name: [_kept(stored.get(name)), _kept(getattr(client, name))]
        for name in names
        if stored.get(name) != getattr(client, name)
    }
    if changes:
        with transaction.atomic():
            record(actor, "client.changed", target(client), changes)
            client.save(update_fields=list(changes))
        directory.forget()
    return changes


def delete(client: Client, actor: Actor) -> None:
    with transaction.atomic():
        changes = {name: [_kept(getattr(client, name)), None] for name in _filled(client)}
        record(actor, "client.deleted", target(client), changes)
        client.delete()
    directory.forget()


def target(client: Client) -> str:
    """Return how audit entries name the client."""
    return f"client:{client.slug}"


def _filled(client: Client) -> list[str]:
    return [name for name in FIELDS if getattr(client, name)]


def _kept(value: Any) -> Any:
    """Return a value as an audit entry keeps it. People paste keys into notes."""
    return masked(value) if isinstance(value, str) else value
