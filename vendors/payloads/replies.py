"""What may be kept of a reply that failed a call: its status, a few of its headers and the
beginning of its body, cleaned.

A body that is JSON loses the redacted fields. One that is not can't be searched for their values,
and is left out where it names such a field. The vendor's keys are masked where it repeats them.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from html import escape
from urllib.parse import quote

from vendors.base import Reply
from vendors.payloads import exact
from vendors.payloads.cleaning import clean, plain
from vendors.payloads.json_reader import VENDOR_JSON

MAX_BODY_BYTES = 4096
MAX_HEADERS = 20
MAX_HEADER_LENGTH = 200
# Never cookies, nor anything of authentication.
KEPT_HEADERS = frozenset(
    [
        *(
            "content-type",
            "content-length",
            "date",
            "retry-after",
            "cf-ray",
            "traceparent",
            "x-error-code",
        ),
        *(
            "request-id",
            "x-request-id",
            "correlation-id",
            "x-correlation-id",
            "trace-id",
            "x-trace-id",
        ),
        *("x-amzn-requestid", "x-amz-request-id", "x-ms-request-id", "idempotency-replayed"),
    ]
)
KEPT_PREFIXES = ("ratelimit", "x-ratelimit-", "x-rate-limit-")
MASK = "***"
LEFT_OUT = "[left out: it is not JSON, and names a redacted field]"
TEXT = json.JSONEncoder(ensure_ascii=False)
WORD = re.compile(r"\w+")


def kept(reply: Reply, redacted_fields: frozenset[str], secrets: Iterable[str]) -> Reply:
    """Return what may be stored of `reply`, and shown. `secrets` are masked in it."""
    spellings = [spelling for secret in secrets if secret for spelling in _spellings(secret)]
    names = [
        name
        for name in reply.headers
        if name.lower() in KEPT_HEADERS or name.lower().startswith(KEPT_PREFIXES)
    ]
    headers = {
        _shown(name)[:MAX_HEADER_LENGTH]: _masked(_shown(reply.headers[name]), spellings)[
            :MAX_HEADER_LENGTH
        ]
        for name in names[:MAX_HEADERS]
    }
    text = _masked(_body(reply.body, redacted_fields), spellings)
    return Reply(reply.status, headers, text.encode("utf-8", "replace")[:MAX_BODY_BYTES])


def _body(body: bytes, redacted_fields: frozenset[str]) -> str:
    try:
        value = exact.read(body.decode(json.detect_encoding(body), "surrogatepass"))
        VENDOR_JSON.check_levels(value)
    except (ValueError, RecursionError):
        # More than is kept, for what is masked or not shown makes it shorter.
        text = _shown(body[: 4 * MAX_BODY_BYTES].decode("utf-8", "replace"))
        return LEFT_OUT if _names_any(text, redacted_fields) else text
    return _shown(exact.write(clean(value, redacted_fields), TEXT))


def _names_any(text: str, redacted_fields: frozenset[str]) -> bool:
    names = {plain(name) for name in redacted_fields}
    words = {plain(word) for word in WORD.findall(text)}
    # A name may have several words: with "user_ssn" and "user.ssn", what follows `ssn` may be its
    # value, too.
    words |= {plain(word) for word in re.split(r"[^\w.-]+", text)}
    words |= {part for word in WORD.findall(text) for part in map(plain, word.split("_"))}
    return not names.isdisjoint(words)


def _shown(text: str) -> str:
    """Return the text without characters that show nothing, or change how others are shown."""
    if text.isascii() and text.isprintable():
        return text
    text = unicodedata.normalize("NFC", text)
    return "".join(
        letter for letter in text if letter in "\n\t" or unicodedata.category(letter)[0] != "C"
    )


def _masked(text: str, spellings: list[str]) -> str:
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, MASK)
    return text


def _spellings(secret: str) -> set[str]:
    in_json = _in_json(secret)
    return {secret, in_json, _in_json(in_json), quote(secret, safe=""), escape(secret)}


def _in_json(text: str) -> str:
    return TEXT.encode(text)[1:-1]
