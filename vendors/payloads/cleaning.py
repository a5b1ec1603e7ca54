"""Trims a vendor's answer and removes the redacted fields from it, before it is stored.

Names are compared without case, spaces, punctuation and invisible characters: "SSN", "s.s.n" and a
name in full-width letters are all `ssn`. Fields are found at any depth, in pairs such as
{"name": "ssn", "value": ...} and ["ssn", ...], and in strings that are JSON, one level deep.
Not found: names in prose, look-alikes from other alphabets, and JSON within JSON within a string.
"""

import unicodedata
from functools import lru_cache
from typing import Any

from vendors.payloads import exact
from vendors.payloads.json_reader import VENDOR_JSON

NAMES = frozenset({"key", "name", "field"})
VALUE = "value"
MAX_CACHED_LENGTH = 100
# Unicode categories: control characters, punctuation, symbols and separators.
IGNORED_CATEGORIES = frozenset("CPSZ")


def clean(value: Any, redacted_fields: frozenset[str]) -> Any:
    """Return `value` with strings trimmed and without the redacted fields.

    The names of other fields stay as they are. Lone surrogates, which JSON allows and UTF-8 does
    not, become the replacement character.
    """
    return _clean(value, _plain_names(redacted_fields), in_text=False)


def plain(name: str) -> str:
    """Return a field's name in the form that is compared."""
    return _plain(name) if len(name) <= MAX_CACHED_LENGTH else _plain.__wrapped__(name)


def _clean(value: Any, names: frozenset[str], *, in_text: bool) -> Any:
    match value:
        case str():
            return _text(value, names, in_text)
        case dict():
            kept = _kept(value, names) if names else value
            return {_key(key): _clean(item, names, in_text=in_text) for key, item in kept.items()}
        case [str() as name, _] if isinstance(value, list) and names and plain(name) in names:
            return [_text(name, names, in_text)]
        case list():
            return [_clean(item, names, in_text=in_text) for item in value]
        case _:
            return value


def _kept(fields: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    compared = {key: plain(key) for key in fields}
    redacted = names
    if VALUE in compared.values() and any(
        isinstance(fields[key], str) and plain(fields[key]) in names
        for key, name in compared.items()
        if name in NAMES
    ):
        redacted = names | {VALUE}
    return {key: item for key, item in fields.items() if compared[key] not in redacted}


def _text(value: str, names: frozenset[str], in_text: bool) -> str:
    text = value.strip()
    if names and not in_text and text[:1] in ("{", "["):
        text = _json_text(text, names)
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _json_text(text: str, names: frozenset[str]) -> str:
    """Return JSON text without the redacted fields. Text that has none of them is unchanged."""
    try:
        value = exact.read(text)
        VENDOR_JSON.check_levels(value)
    except (ValueError, RecursionError):
        return text
    cleaned = _clean(value, names, in_text=True)
    return text if cleaned == _clean(value, frozenset(), in_text=True) else exact.write(cleaned)


def _key(key: str) -> str:
    # Escaped, not replaced, so that two names stay different.
    return key if key.isascii() else key.encode("utf-8", "backslashreplace").decode()


@lru_cache(4096)
def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(letter for letter in folded if _counts(letter)) or name


def _counts(letter: str) -> bool:
    category = unicodedata.category(letter)
    # "Mn": marks on other characters, some of which are invisible.
    return category != "Mn" and category[0] not in IGNORED_CATEGORIES


@lru_cache(256)
def _plain_names(names: frozenset[str]) -> frozenset[str]:
    return frozenset(_plain(name) for name in names)
