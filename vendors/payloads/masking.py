"""Masks secrets in texts and JSON values. A vendor may repeat the key that it was called with."""

import json
from collections.abc import Callable, Collection, Iterable
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
TEXT = json.JSONEncoder(ensure_ascii=False)


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return the text without the secrets, which are given in all their spellings."""
    for spelling in sorted(secrets, key=len, reverse=True):
        text = text.replace(spelling, MASK)
    return text


def masked_in(value: Any, secrets: Collection[str]) -> Any:
    """Return a JSON value with the secrets masked, which are given in all their spellings."""
    if not secrets or not _holds_any(value, secrets):
        return value
    return with_texts(value, lambda text: masked(text, secrets))


def with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return a JSON value with each text changed, and each name of a field."""
    match value:
        case str():
            return change(value)
        case dict():
            return {change(key): with_texts(item, change) for key, item in value.items()}
        case list():
            return [with_texts(item, change) for item in value]
    return value


def spellings(secret: str) -> set[str]:
    """Return how a secret may be written: plain, in JSON, in a URL, a form or a page."""
    in_json = _in_json(secret)
    in_url = {quote(secret, safe=""), quote_plus(secret)}
    return {secret, in_json, _in_json(in_json), escape(secret), *in_url}


def _in_json(text: str) -> str:
    return TEXT.encode(text)[1:-1]


def _holds_any(value: Any, secrets: Iterable[str]) -> bool:
    """Search the value as one text, which is much quicker than going through it."""
    try:
        text = value if isinstance(value, str) else TEXT.encode(value)
    except (TypeError, ValueError, RecursionError):
        return False  # it is not JSON, so it will not be stored
    return any(spelling in text for spelling in secrets)
