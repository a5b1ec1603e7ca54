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
    return f"Changed {shown(changes)}." if changes else "No fields changed."


def shown(changes: dict[str, list[Any]]) -> str:
    """Return the changes in words. A field that had no value shows its new one alone."""
    return "; ".join(
        f"{name}: {new!r}" if old is None else f"{name}: {old!r} → {new!r}"
        for name, (old, new) in changes.items()
    )
