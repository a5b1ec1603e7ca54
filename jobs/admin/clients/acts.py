"""Changes of clients and API keys in words."""

from typing import Any


def changed(changes: dict[str, list[Any]]) -> str:
    """Return what the history says about changes, each a field's old and new value."""
    return f"Changed {shown(changes)}." if changes else "No fields changed."


def shown(changes: dict[str, list[Any]]) -> str:
    """Return the changes in words. A field that had no value shows its new one alone."""
    return "; ".join(
        f"{name}: {new!r}" if old is None else f"{name}: {old!r} → {new!r}"
        for name, (old, new) in changes.items()
    )
