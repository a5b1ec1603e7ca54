"""Finds values in JSON text without changing a digit of them.

Python's float would turn 1234567890123456.789 into another number.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

_decoder = json.JSONDecoder()
_BLANKS = " \t\n\r"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')


def members(text: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the JSON text of each member. Raises ValueError if it is no object."""
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("not an object")
    at = _skip(text, at + 1)
    while text[at : at + 1] != "}":
        if text[at : at + 1] != '"':
            raise ValueError("a name is missing")
        name, at = _decoder.raw_decode(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError("a colon is missing")
        start = _skip(text, at + 1)
        _, at = _decoder.raw_decode(text, start)
        yield name, text[start:at]
        at = _skip(text, at)
        if text[at : at + 1] not in (",", "}"):
            raise ValueError("a comma is missing")
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
    if _skip(text, at + 1) != len(text):
        raise ValueError("something follows the object")


def find(text: str | None, path: str) -> str | None:
    """Return the JSON text at a path such as a.b, or None. A name may itself have dots."""
    if text is None or not text.startswith("{"):
        return None
    found = dict(members(text))
    if path in found:
        return found[path]
    name, _, rest = path.partition(".")
    return find(found.get(name), rest) if rest else None


def plain(text: str | None) -> str:
    """Return what a cell shows for a value: a string without its quotes, null as nothing, other
    values as JSON with letters instead of their numbers.
    """
    if text is None or text == "null":
        return ""
    if text.startswith('"'):
        value: Any = json.loads(text)
        return str(value)
    return _STRING.sub(_readable, text) if "\\u" in text else text


def dumps(value: object) -> str:
    """Return JSON in which what could control a terminal is escaped, and other letters are not."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _readable(found: re.Match[str]) -> str:
    return json.dumps(json.loads(found[0]), ensure_ascii=False)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in _BLANKS and at < len(text):
        at += 1
    return at
