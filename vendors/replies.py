"""What is stored of a reply that failed a call: its status, a few headers and the beginning of its
body, cleaned.

A JSON body loses the redacted fields. Any other body can't be searched for their values, so it is
left out if it names such a field. The vendor's keys are masked.
"""

import json
import re
import unicodedata
from collections.abc import Iterable

from vendors.base import Reply
from vendors.payloads import exact
from vendors.payloads.cleaning import clean, plain
from vendors.payloads.json_reader import VENDOR_JSON
from vendors.payloads.masking import TEXT, masked, spellings

MAX_BODY_BYTES = 4096
MAX_HEADERS = 20
MAX_HEADER_LENGTH = 200
# Never cookies or authentication.
REQUEST_IDS = ("request-id", "correlation-id", "x-request-id", "x-correlation-id")
CLOUD_REQUEST_IDS = ("x-amzn-requestid", "x-amz-request-id", "x-ms-request-id", "cf-ray")
TRACE_IDS = ("trace-id", "x-trace-id", "traceparent")
OTHER_HEADERS = ("retry-after", "x-error-code", "idempotency-replayed")
STANDARD_HEADERS = ("content-type", "content-length", "date")
IDS = {*REQUEST_IDS, *CLOUD_REQUEST_IDS, *TRACE_IDS}
KEPT_HEADERS = {*STANDARD_HEADERS, *OTHER_HEADERS, *IDS}
KEPT_PREFIXES = ("ratelimit", "x-ratelimit-", "x-rate-limit-")
LEFT_OUT = "[left out: not JSON, and names a redacted field]"
WORD = re.compile(r"\w+")


def kept(reply: Reply, redacted_fields: frozenset[str], secrets: Iterable[str]) -> Reply:
    """Return what may be stored and shown of `reply`, with `secrets` masked."""
    hidden = [spelling for secret in secrets if secret for spelling in spellings(secret)]
    names = [name for name in reply.headers if _is_kept(name.lower())]
    headers = {}
    for name in names[:MAX_HEADERS]:
        value = masked(shown(reply.headers[name]), hidden)
        headers[shown(name)[:MAX_HEADER_LENGTH]] = value[:MAX_HEADER_LENGTH]
    text = masked(_body(reply.body, redacted_fields), hidden)
    return Reply(reply.status, headers, text.encode("utf-8", "replace")[:MAX_BODY_BYTES])


def _is_kept(header: str) -> bool:
    return header in KEPT_HEADERS or header.startswith(KEPT_PREFIXES)


def _body(body: bytes, redacted_fields: frozenset[str]) -> str:
    try:
        value = exact.read(body.decode(json.detect_encoding(body), "surrogatepass"))
        VENDOR_JSON.check_levels(value)
    except (ValueError, RecursionError):
        # More than is kept, because masking and removing characters make it shorter.
        text = shown(body[: 4 * MAX_BODY_BYTES].decode("utf-8", "replace"))
        return LEFT_OUT if names_any(text, redacted_fields) else text
    return shown(exact.write(clean(value, redacted_fields), TEXT))


def names_any(text: str, redacted_fields: frozenset[str]) -> bool:
    """Whether a text that is not JSON may hold the values of redacted fields."""
    names = {plain(name) for name in redacted_fields}
    words = {plain(word) for word in WORD.findall(text)}
    # A name may have several words: "user_ssn" and "user.ssn" may hold an `ssn`, too.
    words |= {plain(word) for word in re.split(r"[^\w.-]+", text)}
    words |= {part for word in WORD.findall(text) for part in map(plain, word.split("_"))}
    return not names.isdisjoint(words)


def shown(text: str) -> str:
    """Return the text without characters that are invisible or change how others are shown."""
    if text.isascii() and text.isprintable():
        return text
    text = unicodedata.normalize("NFC", text)
    return "".join(
        letter for letter in text if letter in "\n\t" or unicodedata.category(letter)[0] != "C"
    )
