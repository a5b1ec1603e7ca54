"""Request bodies: their size and encoding are limited, and a posted job is strict JSON."""

import re
from typing import Any

from django.http import HttpRequest
from django.http.request import UnreadablePostError

from jobs.api.problems import Problem
from vendors.payloads.json_reader import InvalidJSON, JSONReader

# What any store can keep and any client can read.
JOB_JSON = JSONReader(
    "The body",
    max_levels=32,
    max_digits=1000,
    unique_names=True,
    utf8_only=True,
    lone_surrogates=False,
    error_positions=True,
)
EXAMPLE = '{"vendor": "sync", "name": "John Doe"}'
PLAIN_CODINGS = {"Content-Encoding": {"identity"}, "Transfer-Encoding": {"identity", "chunked"}}


class TooLarge(Problem):
    def __init__(self, max_bytes: int) -> None:
        super().__init__(
            "too_large", 413, f"The body is too large. The limit is {max_bytes} bytes."
        )


class CutShort(Problem):
    def __init__(self) -> None:
        detail = "The body is shorter than its Content-Length. Send the request again."
        super().__init__("body_cut_short", 400, detail)


class Encoded(Problem):
    def __init__(self) -> None:
        detail = "Send the body without Content-Encoding. Transfer-Encoding may only be chunked."
        headers = {"Accept-Encoding": "identity"}
        super().__init__("unsupported_encoding", 415, detail, headers=headers)


def read(request: HttpRequest, max_bytes: int) -> bytes:
    """Return the body.

    Raises Encoded or TooLarge before any of it is read, CutShort if the client disconnects before
    its end.
    """
    refuse_encoded(request)
    length = content_length(request)
    if length > max_bytes:
        raise TooLarge(max_bytes)
    # A chunked body has no length before it is read.
    size = length if "CONTENT_LENGTH" in request.META else max_bytes + 1
    try:
        body = request.read(size)
    except UnreadablePostError:
        raise CutShort from None
    if len(body) > max_bytes:
        raise TooLarge(max_bytes)
    if len(body) < length:
        raise CutShort
    return body


def refuse_encoded(request: HttpRequest) -> None:
    """Raise Encoded if the body is compressed."""
    for header, plain in PLAIN_CODINGS.items():
        if value := request.headers.get(header):
            codings = {coding.strip().lower() for coding in value.split(",")}
            if codings - plain - {""}:
                raise Encoded


def content_length(request: HttpRequest) -> int:
    length = request.META.get("CONTENT_LENGTH") or ""
    return int(length) if re.fullmatch(r"[0-9]{1,100}", length) else 0


def has_type(request: HttpRequest, *types: str) -> bool:
    """Return whether the body is of one of these media types, in UTF-8."""
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    return request.content_type in types and charset in ("utf-8", "utf8")


def read_job(request: HttpRequest, max_bytes: int) -> dict[str, Any]:
    """Return the JSON object in the body. Raises Problem with status 400, 413 or 415."""
    if not has_type(request, "application/json"):
        detail = "Send JSON in UTF-8, with the header Content-Type: application/json."
        raise Problem("unsupported_media_type", 415, detail)
    return read_object(request, max_bytes, JOB_JSON, EXAMPLE)


def read_object(
    request: HttpRequest, max_bytes: int, reader: JSONReader, example: str
) -> dict[str, Any]:
    """Return the object in a body that is JSON. Raises Problem with status 400, 413 or 415."""
    try:
        value = reader.read(read(request, max_bytes))
    except InvalidJSON as error:
        raise Problem("invalid_json", 400, str(error)) from None
    if not isinstance(value, dict):
        raise Problem("not_an_object", 400, f"Send a JSON object, such as {example}.")
    return value
