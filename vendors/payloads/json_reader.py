"""The one reader of JSON from outside: posted jobs, vendors' replies and callbacks.

Whatever it accepts can be stored, and written as JSON again. Numbers keep their digits (exact.py).
"""

import json
import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from vendors.payloads import exact

UNESCAPED = json.JSONEncoder(ensure_ascii=False)


class InvalidJSON(ValueError):  # noqa: N818 - named for what was read
    """JSON that was refused. Its text is a sentence that repeats nothing of what was read."""


class EqualNames(InvalidJSON):
    """An object has two fields of the same name, and parsers disagree on which one counts."""


@dataclass(frozen=True)
class JSONReader:
    """Reads JSON within limits; each error is an InvalidJSON.

    NaN, Infinity and numbers beyond the range of a float are always refused. By default, names of
    an object may repeat (the last one counts), any encoding of RFC 4627 is detected, and lone
    surrogates pass.
    """

    subject: str  # the first words of each error, such as "The body"
    max_levels: int
    max_digits: int | None = None  # None: Python's limit for integers, none for other numbers
    unique_names: bool = False
    utf8_only: bool = False
    lone_surrogates: bool = True
    error_positions: bool = False  # whether errors name line and column
    is_one_line: bool = False  # if so, the column alone

    def read(self, body: bytes) -> Any:
        text = self._text(body)
        try:
            value = self._decoder.decode(text)
        except json.JSONDecodeError as error:
            line = "" if self.is_one_line else f"line {error.lineno}, "
            where = f": {error.msg} ({line}column {error.colno})"
            raise self._error(f"is not valid JSON{where if self.error_positions else ''}") from None
        except RecursionError:
            raise self._too_deep() from None
        self.check_levels(value)
        if not self.lone_surrogates and "\\u" in text:
            self._check_surrogates(value)
        return value

    def read_object(self, body: bytes) -> dict[str, Any]:
        value = self.read(body)
        if not isinstance(value, dict):
            raise self._error("is JSON, but not an object")
        return value

    def check_levels(self, value: Any) -> None:
        """Raise InvalidJSON if arrays and objects are nested too deeply for recursive code."""
        # Level by level, because recursion would itself go too deep.
        containers = [value] if isinstance(value, dict | list) else []
        levels = 0
        while containers:
            levels += 1
            if levels > self.max_levels:
                raise self._too_deep()
            containers = [
                child
                for item in containers
                for child in (item.values() if isinstance(item, dict) else item)
                if isinstance(child, dict | list)
            ]

    def _text(self, body: bytes) -> str:
        try:
            if not self.utf8_only:
                return body.decode(json.detect_encoding(body), "surrogatepass")
            text = body.decode()
        except UnicodeDecodeError:
            what = "UTF-8 text" if self.utf8_only else "valid JSON"
            raise self._error(f"is not {what}") from None
        if text.startswith("\ufeff"):
            raise self._error("starts with a byte order mark (BOM); send UTF-8 without one")
        return text

    @cached_property
    def _decoder(self) -> json.JSONDecoder:
        return json.JSONDecoder(
            object_pairs_hook=self._object if self.unique_names else None,
            parse_constant=self._refuse_constant,
            parse_float=self._float,
            parse_int=self._int,
        )

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            text = "has an object with two fields of the same name; send each name once"
            raise EqualNames(f"{self.subject} {text}.")
        return found

    def _refuse_constant(self, name: str) -> None:
        raise self._error(f"contains {name}, which is not valid JSON; use null or omit the field")

    def _float(self, text: str) -> float:
        self._check_digits(text)
        value = exact.number(text)
        if math.isinf(value):  # it would be written as Infinity
            raise self._error("has a number that is too large; the limit is 1.7e308")
        return value

    def _int(self, text: str) -> int:
        self._check_digits(text)
        try:
            return int(text)
        except ValueError:  # more digits than Python converts
            raise self._error("has a number with too many digits; send it as text") from None

    def _check_digits(self, text: str) -> None:
        if self.max_digits is not None and len(text) > self.max_digits:
            raise self._error(
                f"has a number with more than {self.max_digits} digits; send it as text"
            )

    def _check_surrogates(self, value: Any) -> None:
        try:
            UNESCAPED.encode(value).encode()
        except UnicodeEncodeError:
            raise self._error(
                "has text with a lone surrogate (\\ud800 to \\udfff), which is not a character"
            ) from None

    def _too_deep(self) -> InvalidJSON:
        return self._error(f"is nested deeper than {self.max_levels} levels")

    def _error(self, predicate: str) -> InvalidJSON:
        return InvalidJSON(f"{self.subject} {predicate}.")


# For replies and callbacks. Cleaning replaces lone surrogates later (cleaning.py).
VENDOR_JSON = JSONReader("It", max_levels=100)
UNAMBIGUOUS_JSON = replace(VENDOR_JSON, unique_names=True)
