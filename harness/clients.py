"""Clients and API keys for tests."""

from typing import Any

from audit.record import Actor
from clients import issuing
from clients.directory import directory
from clients.models import ApiKey, Client
from clients.scopes import Scope

ACTOR = Actor("tests")
ALL_SCOPES = " ".join(Scope.values)


def make_client(slug: str, **fields: Any) -> Client:
    """Create the client, or change these fields of it."""
    client, _ = Client.objects.update_or_create(slug=slug, defaults=fields)
    directory.forget()
    return client


def make_key(slug: str = "team-a", **fields: Any) -> str:
    """Return a new API key with these fields, of a client that may be new."""
    return issue(slug, **fields).text


def issue(slug: str = "team-a", **fields: Any) -> issuing.Issued:
    client = Client.objects.filter(slug=slug).first() or make_client(slug)
    return issuing.create(client, ACTOR, **{"name": "test", "scopes": ALL_SCOPES, **fields})


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def key_row(text: str) -> ApiKey:
    return ApiKey.objects.get(public=text[4:12])
