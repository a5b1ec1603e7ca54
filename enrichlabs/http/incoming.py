"""Detects when all bytes of a request have arrived, or those of its head if it is an upload."""

import re
from time import monotonic
from urllib.parse import unquote

from enrichlabs.http import refusals
from enrichlabs.http.request_limits import (
    HEAD_TIMEOUT_SECONDS,
    MAX_HEAD_BYTES,
    Limits,
    limits_of,
)
from jobs.api.input.bodies import TooLarge
from jobs.api.problems import Problem

LENGTH = re.compile(rb"\r\ncontent-length:([^\r\n]*)\r\n", re.IGNORECASE)
DIGITS = re.compile(rb"[0-9]{1,18}")
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
CONTENT_TYPE = re.compile(rb"\r\ncontent-type:([^\r\n]*)\r\n", re.IGNORECASE)
EXPECTS_CONTINUE = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE)
ORIGIN = re.compile(r"[a-zA-Z]+://[^/]*")
CHUNK_SIZE = re.compile(rb"0*([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
MAX_CHUNK_LINE_BYTES = 8190
# Chunk sizes and trailers may add this to a body, and its length once more, up to a limit: each
# chunk takes time, however small.
MAX_FRAMING_BYTES = 64 * 1024
MAX_MORE_FRAMING_BYTES = 1024 * 1024


class Incoming:
    """The bytes of one request, as they arrive.

    This decides when a thread gets the request, and when to stop waiting. What the request says is
    decided by gunicorn's parser, from the same bytes. So whatever looks malformed here counts as
    complete: the parser refuses it.
    """

    def __init__(self, seconds: float) -> None:
        self.data = bytearray()
        self.deadline = monotonic() + seconds  # for the first byte
        self.is_complete = False
        self.reads_body = True  # False: it is complete without its body, which is too large
        self.wants_continue = False
        self.is_checked = False  # whether a thread has looked, or looks, at who sends it
        self.limits: Limits
        self._head_bytes = 0  # 0 until the head is complete
        self._end: int | None = None  # of the request, if it has a length
        self._position = 0  # where to look for the next chunk, or for the end of the head
        self._chunked_bytes = 0

    @property
    def has_head(self) -> bool:
        return self._head_bytes > 0

    @property
    def head(self) -> bytes:
        return bytes(self.data[: self._head_bytes])

    @property
    def must_be_checked(self) -> bool:
        """Whether its body must not be waited for before it is known who sends it."""
        is_waiting = self.has_head and not self.is_complete
        return is_waiting and self.limits.authenticates and not self.is_checked

    def add(self, data: bytes) -> None:
        """Add what has arrived. Raises Problem if the request must be refused before its end."""
        if not self.data:
            self.deadline = monotonic() + HEAD_TIMEOUT_SECONDS
        self.data += data
        if not self.has_head:
            self._find_head()
        if self.has_head and not self.is_complete:
            self._find_end()

    def _find_head(self) -> None:
        start = max(0, self._position - 3)  # the last three bytes may begin the blank line
        at = self.data.find(b"\r\n\r\n", start)
        self._position = len(self.data)
        if at >= 0:
            self._begin_body(at + 4)
        elif not (self.data[:1].isalpha() or self.data[:1] == b"\r"):
            raise Problem(*refusals.NOT_HTTP)
        elif self.data.find(b"\n\n", start) >= 0:
            self.is_complete = True  # lines without CR never end a head; the parser refuses them
        elif len(self.data) > MAX_HEAD_BYTES:
            raise Problem(*refusals.HEAD_TOO_LARGE)

    def _begin_body(self, head_bytes: int) -> None:
        self._head_bytes = self._position = head_bytes
        head = bytes(self.data[:head_bytes])
        self.limits = _limits(head)
        self.deadline = monotonic() + self.limits.body_timeout_seconds
        if self.limits.is_upload:
            self.is_complete = True
            return
        if not CHUNKED.search(head):
            self._end = head_bytes + _length(head)
            if self._end - head_bytes > self.limits.max_bytes:
                if not self.limits.view_refuses:
                    raise TooLarge(self.limits.max_bytes)
                self.is_complete, self.reads_body = True, False
        if not self.is_complete and self._end != head_bytes and len(self.data) == head_bytes:
            is_newer = head.partition(b"\r\n")[0].endswith(b" HTTP/1.1")
            self.wants_continue = is_newer and bool(EXPECTS_CONTINUE.search(head))

    def _find_end(self) -> None:
        if self._end is not None:
            self.is_complete = len(self.data) >= self._end
            return
        self._skip_chunks()
        max_bytes = self.limits.max_bytes
        max_framing_bytes = min(max_bytes, MAX_MORE_FRAMING_BYTES) + MAX_FRAMING_BYTES
        excess = len(self.data) - self._head_bytes - max_bytes - max_framing_bytes
        if self._chunked_bytes > max_bytes or (excess > 0 and not self.is_complete):
            raise TooLarge(max_bytes)

    def _skip_chunks(self) -> None:
        while (end := self.data.find(b"\r\n", self._position)) >= 0:
            size = CHUNK_SIZE.match(self.data, self._position)
            if size is None:
                raise Problem(*refusals.BAD_CHUNK)
            chunk_bytes = int(size[1], 16)
            if chunk_bytes == 0:
                self._find_end_of_trailers(end)
                return
            self._chunked_bytes += chunk_bytes
            self._position = end + 2 + chunk_bytes + 2
        if len(self.data) - self._position > MAX_CHUNK_LINE_BYTES:
            self.is_complete = True

    def _find_end_of_trailers(self, start: int) -> None:
        has_none = self.data[start + 2 : start + 4] == b"\r\n"
        self.is_complete = has_none or self.data.find(b"\r\n\r\n", start) >= 0
        if len(self.data) - start > MAX_FRAMING_BYTES and not self.is_complete:
            raise Problem(*refusals.HEAD_TOO_LARGE)


def _limits(head: bytes) -> Limits:
    content_type = CONTENT_TYPE.search(head)
    method, path = head.lstrip(b"\r\n").partition(b" ")[0].decode("latin-1"), _path(head)
    return limits_of(path, method, content_type[1].decode("latin-1") if content_type else "")


def _length(head: bytes) -> int:
    """Return the body's length. Raises Problem if the parser might read another one."""
    lengths = {length.strip(b" \t").lstrip(b"0") or b"0" for length in LENGTH.findall(head)}
    if not lengths:
        return 0
    if len(lengths) > 1 or not DIGITS.fullmatch(next(iter(lengths))):
        raise Problem(*refusals.BAD_LENGTH)
    return int(lengths.pop())


def _path(head: bytes) -> str:
    """Return the path in the request line, if there is one. Like the parser, this leaves out a
    fragment.
    """
    _, _, rest = head.partition(b" ")
    target = re.split(rb"[?#]", rest.partition(b" ")[0], maxsplit=1)[0].decode("latin-1")
    if not target.startswith("/"):
        target = ORIGIN.sub("", target, count=1)
    return unquote(target) if "%" in target else target
