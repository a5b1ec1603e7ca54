"""Records the requests and responses of a call by hand."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from requests.structures import CaseInsensitiveDict

from vendors.base import VendorError

NOT_SENT = "not_sent"


@dataclass
class Exchange:
    """One request, as much of its response as arrived, and what its adapter made of that.

    `rule` is the rule of the vendor's definition that decided the outcome, as text.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    status: int | None = None
    reply_headers: Mapping[str, str] = field(default_factory=dict)
    reply_body: bytes = b""
    outcome: str = ""
    rule: str = ""


class _Watch(threading.local):
    exchanges: list[Exchange] | None = None
    is_rehearsal = False  # requests are recorded, and not sent


_watch = _Watch()


@contextmanager
def watched() -> Iterator[list[Exchange]]:
    """Record the exchanges of this thread's calls."""
    _watch.exchanges = []
    try:
        yield _watch.exchanges
    finally:
        _watch.exchanges = None


@contextmanager
def rehearsed() -> Iterator[list[Exchange]]:
    """Record the requests that this thread would send. None is sent: its call fails as NOT_SENT."""
    _watch.is_rehearsal = True
    try:
        with watched() as exchanges:
            yield exchanges
    finally:
        _watch.is_rehearsal = False


def note_request(method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
    """Raises VendorError in a rehearsal."""
    if _watch.exchanges is not None:
        sent = dict(CaseInsensitiveDict(headers))  # of two spellings of a name, the last is sent
        _watch.exchanges.append(Exchange(method, url, sent, body))
    if _watch.is_rehearsal:
        raise VendorError(NOT_SENT, "The request was not sent.", sent=False)


def note_reply(status: int, headers: Mapping[str, str], body: bytearray) -> None:
    if _watch.exchanges:
        last = _watch.exchanges[-1]
        last.status, last.reply_headers, last.reply_body = status, headers, bytes(body)


def note_decision(outcome: str, rule: str) -> None:
    """Note what the adapter made of the last response."""
    if _watch.exchanges:
        last = _watch.exchanges[-1]
        last.outcome, last.rule = outcome, rule
