"""What the pages of clients and of API keys share: who acts, and how pages ask."""

from typing import Any

from django.http import HttpRequest

from audit.record import Actor
from jobs.api.access.addresses import client_address


def actor(request: HttpRequest) -> Actor:
    """Return the signed-in user, at the address that the request came from."""
    return Actor(request.user.get_username(), client_address(request.META))


def changed(changes: dict[str, list[Any]]) -> str:
    """Return what the history says about changes, each a field's old and new value."""
    shown = "; ".join(f"{name}: {old!r} → {new!r}" for name, (old, new) in changes.items())
    return f"Changed {shown}." if shown else "No fields changed."
