"""What a vendor sends is cleaned before it is stored."""

from typing import Any


def clean(value: Any, redacted_fields: frozenset[str]) -> Any:
    """Return `value` with strings trimmed and the redacted fields (lower-case names) left out at any depth.

    Lone surrogates, which JSON can spell but UTF-8 can't, become the replacement character.
    """
    match value:
        case str():
            return _text(value)
        case list():
            return [clean(item, redacted_fields) for item in value]
        case dict():
            kept = {key: item for key, item in value.items() if key.strip().lower() not in redacted_fields}
            return {_text(key): clean(item, redacted_fields) for key, item in kept.items()}
        case _:
            return value


def _text(value: str) -> str:
    return value.strip().encode("utf-8", "surrogatepass").decode("utf-8", "replace")
