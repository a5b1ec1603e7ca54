"""Creates, changes and deletes clients. Each act writes its audit entry first, as clients.issuing
does.
"""

from collections.abc import Collection
from typing import Any

from django.db import transaction

from audit.record import Actor, record
from clients.directory import directory
from clients.models import Client

FIELDS = ("slug", "name", "enabled", "vendors", "request_limits", "note")


def create(client: Client, actor: Actor) -> None:
    """Store a new client. Raises ValidationError if its fields are not valid."""
    client.full_clean()
    changes = {name: [None, getattr(client, name)] for name in FIELDS if getattr(client, name)}
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
        name: [stored.get(name), getattr(client, name)]
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
        changes = {name: [getattr(client, name), None] for name in FIELDS if getattr(client, name)}
        record(actor, "client.deleted", target(client), changes)
        client.delete()
    directory.forget()


def target(client: Client) -> str:
    """Return how audit entries name the client."""
    return f"client:{client.slug}"
