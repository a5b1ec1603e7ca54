"""What clients send: a body of a limited size, and the JSON object in it."""

import json
import math
import re
from typing import Any

from django.http import HttpRequest
from django.http.request import UnreadablePostError

from jobs.api.problems import Problem
from vendors.payloads import exact

MAX_LEVELS = 32
MAX_DIGITS = 1000


class TooLarge(Problem):
    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            "too_large", 413, f"The body is larger than {limit_bytes} bytes; send less."
        )


class CutShort(Problem):
    def __init__(self) -> None:
        super().__init__(
            "body_cut_short", 400, "The body ended before its Content-Length; send it again."
        )


class Encoded(Problem):
    def __init__(self) -> None:
        detail = (
            "Send the body as it is: no Content-Encoding, and no Transfer-Encoding but chunked."
        )
        super().__init__(
            "unsupported_encoding", 415, detail, headers={"Accept-Encoding": "identity"}
        )


class NotJSON(Problem):
    def __init__(self, detail: str) -> None:
        super().__init__("invalid_json", 400, detail)


def read(request: HttpRequest, limit_bytes: int) -> bytes:
    """Return the body.

    Raises Encoded or TooLarge before any of it is read, or CutShort where the client went away
    before its end.
    """
    if _codings(request, "Content-Encoding") - {"identity"} or _codings(
        request, "Transfer-Encoding"
    ) - {"identity", "chunked"}:
        raise Encoded
    expected_bytes = _expected_bytes(request)
    if expected_bytes > limit_bytes:
        raise TooLarge(limit_bytes)
    try:
        body = request.read(expected_bytes)
    except UnreadablePostError:
        raise CutShort from None
    if len(body) < expected_bytes:
        raise CutShort
    return body


def _codings(request: HttpRequest, header: str) -> set[str]:
    return {word.strip().lower() for word in request.headers.get(header, "").split(",")} - {""}


def _expected_bytes(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if re.fullmatch(r"[0-9]{1,100}", length) else 0


def read_object(request: HttpRequest, limit_bytes: int) -> dict[str, Any]:
    """Return the JSON object in the body. Raises Problem with the status 400, 413 or 415."""
    charset = request.content_params.get("charset", "utf-8") if request.content_params else "utf-8"
    if request.content_type != "application/json" or charset.lower() not in ("utf-8", "utf8"):
        raise Problem(
            "unsupported_media_type",
            415,
            "Send JSON in UTF-8, and say so: Content-Type: application/json.",
        )
    value = parse(read(request, limit_bytes))
    if not isinstance(value, dict):
        raise Problem(
            "not_an_object",
            400,
            'Send a JSON object, such as {"vendor": "sync", "name": "John Doe"}.',
        )
    return value


def parse(body: bytes) -> Any:
    """Return the JSON value in `body`, which any store can keep and any client can read. Raises
    NotJSON.
    """
    try:
        value = json.loads(
            body.decode(),
            parse_constant=_refuse_constant,
            parse_float=_float,
            parse_int=_int,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError:
        raise NotJSON("The body is not UTF-8 text.") from None
    except json.JSONDecodeError as error:
        raise NotJSON(
            f"The body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from None
    except RecursionError:
        raise _too_deep() from None
    _check(value, MAX_LEVELS)
    return value


def _check(value: Any, levels_left: int) -> None:
    match value:
        case str():
            _check_text(value)
        case dict() | list() if levels_left == 0:
            raise _too_deep()
        case dict():
            for key, item in value.items():
                _check_text(key)
                _check(item, levels_left - 1)
        case list():
            for item in value:
                _check(item, levels_left - 1)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotJSON(
            "A text holds half of a surrogate pair (\\ud800 to \\udfff), which is no character."
        ) from None


def _too_deep() -> NotJSON:
    return NotJSON(f"The body is nested deeper than {MAX_LEVELS} levels.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotJSON(
            "An object has two fields of the same name; send one, for only one can be kept."
        )
    return found


def _refuse_constant(name: str) -> None:
    raise NotJSON(f"{name} is no JSON; use null or leave the field out.")


def _float(text: str) -> float:
    _check_digits(text)
    value = exact.number(text)
    if math.isinf(value):
        raise NotJSON("A number is too large: nothing beyond 1.7e308 can be kept.")
    return value


def _int(text: str) -> int:
    _check_digits(text)
    return int(text)


def _check_digits(text: str) -> None:
    if len(text) > MAX_DIGITS:
        raise NotJSON(f"A number has more than {MAX_DIGITS} digits; send it as text.")
