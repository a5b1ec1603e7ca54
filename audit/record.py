"""Writes audit entries."""

import getpass
from typing import Any, NamedTuple

from audit.models import Entry


class Actor(NamedTuple):
    """Who acts: a user of the console at an address, or the command line."""

    name: str
    address: str = ""


def command_line() -> Actor:
    """Return the command line as an actor, with the name of the system's user."""
    try:
        return Actor(f"command line ({getpass.getuser()})")
    except (KeyError, OSError):  # a container may run under a number without a name
        return Actor("command line")


def record(
    actor: Actor,
    action: str,
    target: str,
    changes: dict[str, list[Any]] | None = None,
    *,
    reason: str = "",
) -> None:
    """Write an entry. `changes` must hold no secret; times in it are ISO 8601 text."""
    Entry.objects.create(
        actor=actor.name[:150],
        address=actor.address,
        action=action,
        target=target,
        changes=changes or {},
        reason=reason[:500],
    )
