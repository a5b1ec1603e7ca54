"""Ids of rows."""

import uuid_utils


def new_id() -> str:
    """Return a new UUIDv7 as text; later ones sort after earlier ones."""
    return str(uuid_utils.uuid7())
