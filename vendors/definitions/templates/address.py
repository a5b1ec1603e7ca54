"""Method and URL of a request: "GET https://api.example.com/people/{input.id}"."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from vendors.definitions.expressions.budget import Budget
from vendors.definitions.expressions.expression import Expression
from vendors.definitions.names import Compiler
from vendors.definitions.templates.text import Text, UnfillableError, parse, text_of

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
METHOD = re.compile(rf"({'|'.join(METHODS)}) +(?=https?://)")
BASE = re.compile(r"https?://[^/?#{}\s\\]+")
PORTS = {"http": 80, "https": 443}
UNSAFE = re.compile(r"[\s\x00-\x1f\x7f\\#]")
IGNORED = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
NOT_AN_ADDRESS = (
    'Must be a method and a URL, such as "GET https://api.example.com/people/{input.id}". '
    f"The methods are {', '.join(METHODS)}."
)
BEFORE_HOST = re.compile(r"[A-Z]+ +\{")
AFTER_HOST = (
    "The host can't be a placeholder, or have one in it. "
    "Placeholders stand after the host, as in https://api.example.com/{input.id}."
)
IN_VALUE = "A placeholder in the query must be in a value, as in ?id={input.id}."
LEAVES = "the value of a placeholder would change the path, so the vendor was not called."


@dataclass(frozen=True)
class Address:
    """`base` is scheme and host. Each segment of the path and each parameter is a Text."""

    method: str
    base: str
    segments: tuple[Text, ...]
    parameters: tuple[Text, ...]

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port. Raises ValueError if there is no such port."""
        parts = urlsplit(self.base)
        host = parts.hostname or ""
        port = parts.port or PORTS[parts.scheme]
        return parts.scheme, f"[{host}]" if ":" in host else host, port

    def fill(self, scope: Mapping[str, Any], budget: Budget) -> str:
        """Return the URL, percent-encoded. Raises UnfillableError."""
        path = "".join(f"/{_segment(segment, scope, budget)}" for segment in self.segments)
        filled = (_filled(parameter, scope, budget) for parameter in self.parameters)
        query = "&".join(text for text in filled if text is not None)
        return f"{self.base}{path}{'?' if query else ''}{query}"


def compile_address(value: object, key: str, compiler: Compiler) -> Address | None:
    """Return None if it has a fault."""
    with compiler.faults.at(key):
        return _address(value, key, compiler)
    return None


def _address(value: object, key: str, compiler: Compiler) -> Address:
    if isinstance(value, str) and BEFORE_HOST.match(value):
        raise ValueError(AFTER_HOST)
    method = METHOD.match(value) if isinstance(value, str) else None
    if not isinstance(value, str) or not method:
        raise ValueError(NOT_AN_ADDRESS)
    rest = value[method.end() :]
    base = BASE.match(rest)
    end = base.end() if base else 0
    if not base or rest[end : end + 1] == "{":
        raise ValueError(AFTER_HOST)
    pieces = parse(rest[end:], key, compiler).pieces
    if any(UNSAFE.search(piece) for piece in pieces if isinstance(piece, str)):
        raise ValueError("Remove spaces, backslashes and # from the URL; %20 is a space.")
    path, query = _at_question_mark(pieces)
    parameters = tuple(Text(key, part) for part in _split(query, "&") if part != ("",))
    if any(not isinstance(part.pieces[0], str) or _in_name(part) for part in parameters):
        raise ValueError(IN_VALUE)
    segments = [Text(key, part) for part in _split(path, "/")]
    return Address(method[1], base[0], tuple(segments[1:]), parameters)


def _in_name(parameter: Text) -> bool:
    has_placeholder = len(parameter.pieces) > 1
    return has_placeholder and "=" not in str(parameter.pieces[0])


Pieces = tuple[str | Expression, ...]


def _at_question_mark(pieces: Pieces) -> tuple[Pieces, Pieces]:
    for index, piece in enumerate(pieces):
        if isinstance(piece, str) and "?" in piece:
            before, _, after = piece.partition("?")
            return (*pieces[:index], before), (after, *pieces[index + 1 :])
    return pieces, ()


def _split(pieces: Pieces, separator: str) -> Iterator[Pieces]:
    """Yield the pieces between the separators in the literal texts."""
    part: list[str | Expression] = []
    for piece in pieces:
        if isinstance(piece, str):
            first, *others = piece.split(separator)
            part += [first] if first else []
            for other in others:
                yield tuple(part or [""])
                part = [other] if other else []
        else:
            part.append(piece)
    yield tuple(part or [""])


def _segment(segment: Text, scope: Mapping[str, Any], budget: Budget) -> str:
    if all(isinstance(piece, str) for piece in segment.pieces):
        return "".join(map(str, segment.pieces))
    filled = _filled(segment, scope, budget)
    if filled is None:
        raise UnfillableError(f"{segment.key}: a placeholder of the path is null.")
    if _leaves(unquote(filled)) or _leaves(unquote(unquote(filled))):
        raise UnfillableError(f"{segment.key}: {LEAVES}")
    return filled


def _leaves(text: str) -> bool:
    """Whether a server may take this for another path, once it has decoded it."""
    parts = re.split(r"[/\\]", text)
    return text == "" or any(_plain(part) in (".", "..") for part in parts)


def _plain(part: str) -> str:
    """Return what some servers make of a part: parameters after a ; and blanks do not count."""
    return IGNORED.sub("", part.partition(";")[0])


def _filled(text: Text, scope: Mapping[str, Any], budget: Budget) -> str | None:
    """Return the text with its placeholders percent-encoded; None if one of them is null."""
    parts = []
    for piece in text.pieces:
        if isinstance(piece, str):
            parts.append(piece)
            continue
        value = piece.evaluate(scope, budget)
        if value is None:
            return None
        parts.append(quote(text_of(value, text.key), safe="", errors="replace"))
    return "".join(parts)
