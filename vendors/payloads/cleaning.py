"""What a vendor sends is cleaned before it is stored.

Names are compared as people would: without case, blanks, punctuation and invisible characters, so
that "SSN", "s.s.n" and a name in full-width letters are all `ssn`. Found are fields at any depth,
in pairs such as {"name": "ssn", "value": ...} and ["ssn", ...], and in texts that are JSON
themselves, one level deep. Not found are names in prose, look-alikes of another alphabet, and JSON
in JSON in a text.
"""

import unicodedata
from functools import lru_cache
from typing import Any

from vendors.payloads import exact
from vendors.payloads.json_reader import VENDOR_JSON

NAMES = frozenset({"key", "name", "field"})
VALUE = "value"
MAX_CACHED_LENGTH = 100
INVISIBLE = frozenset(
    "CPSZ"
)  # Unicode's categories of control characters, punctuation, symbols and blanks


def clean(value: Any, redacted_fields: frozenset[str]) -> Any:
    """Return `value` with texts trimmed and the redacted fields left out. Other fields keep their
    names as they came.

    Lone surrogates, which JSON can spell but UTF-8 can't, become the replacement character.
    """
    return _clean(value, _plain_names(redacted_fields), in_text=False)


def plain(name: str) -> str:
    """Return a field's name as it is compared."""
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
    left_out = names
    if VALUE in compared.values() and any(
        isinstance(fields[key], str) and plain(fields[key]) in names
        for key, name in compared.items()
        if name in NAMES
    ):
        left_out = names | {VALUE}
    return {key: item for key, item in fields.items() if compared[key] not in left_out}


def _text(value: str, names: frozenset[str], in_text: bool) -> str:
    text = value.strip()
    if names and not in_text and text[:1] in ("{", "["):
        text = _json_text(text, names)
    return (
        text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    )


def _json_text(text: str, names: frozenset[str]) -> str:
    """Return a text that is JSON without the redacted fields in it; any other text, and one without
    such fields, as it is.
    """
    try:
        value = exact.read(text)
        VENDOR_JSON.check_levels(value)
    except (ValueError, RecursionError):
        return text
    cleaned = _clean(value, names, in_text=True)
    return text if cleaned == _clean(value, frozenset(), in_text=True) else exact.write(cleaned)


def _key(key: str) -> str:
    # Escaped and not replaced, so that two names stay two.
    return key if key.isascii() else key.encode("utf-8", "backslashreplace").decode()


@lru_cache(4096)
def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    # "Mn": marks that are put on other characters, some of which show nothing.
    kept = [
        letter
        for letter in folded
        if (kind := unicodedata.category(letter)) != "Mn" and kind[0] not in INVISIBLE
    ]
    return "".join(kept) or name


@lru_cache(256)
def _plain_names(names: frozenset[str]) -> frozenset[str]:
    return frozenset(_plain(name) for name in names)
