"""Tells when the bytes of a request have all come in."""

import re
from time import monotonic
from urllib.parse import unquote

from enrichlabs.http.request_limits import HEAD_SECONDS, MAX_HEAD_BYTES, Limits, limits_of
from jobs.api.bodies import TooLarge
from jobs.api.problems import Problem

LENGTH = re.compile(rb"\r\ncontent-length:([^\r\n]*)\r\n", re.IGNORECASE)
DIGITS = re.compile(rb"[0-9]{1,18}")
CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
EXPECTS_CONTINUE = re.compile(
    rb" HTTP/1\.1\r\n(?:.*\r\n)?expect:[ \t]*100-continue[ \t]*\r\n", re.IGNORECASE | re.DOTALL
)
ORIGIN = re.compile(r"[a-zA-Z]+://[^/]*")
CHUNK_SIZE = re.compile(rb"0*([0-9a-fA-F]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")
MAX_CHUNK_LINE_BYTES = 8190
# What the sizes of chunks and the trailers may add to a body, and its length once more.
MAX_FRAMING_BYTES = 64 * 1024


class Incoming:
    """The bytes of one request, as they come in.

    This decides when a thread begins on the request, and when to give up waiting; what the request
    says is up to gunicorn's parser, which reads the same bytes. Whatever looks odd here is
    therefore whole: the parser will refuse it.
    """

    def __init__(self, seconds: float) -> None:
        self.data = bytearray()
        self.deadline = monotonic() + seconds  # for the first byte
        self.is_whole = False
        self.wants_continue = False
        self._head_bytes = 0  # 0 until all of the head is there
        self._limits: Limits
        self._end: int | None = None  # of the request, where a length was given
        self._position = 0  # from where on chunks, or the end of the head, are looked for
        self._chunked_bytes = 0

    @property
    def has_head(self) -> bool:
        return self._head_bytes > 0

    def add(self, data: bytes) -> None:
        """Take in what came. Raises Problem when the request must be refused without being read to
        its end.
        """
        if not self.data:
            self.deadline = monotonic() + HEAD_SECONDS
        self.data += data
        if not self.has_head:
            self._look_for_head()
        if self.has_head and not self.is_whole:
            self._look_for_end()

    def _look_for_head(self) -> None:
        begin = max(0, self._position - 3)  # the last three bytes may be the first of the end
        at = self.data.find(b"\r\n\r\n", begin)
        self._position = len(self.data)
        if at >= 0:
            self._begin_body(at + 4)
        elif not (self.data[:1].isalpha() or self.data[:1] == b"\r"):
            raise Problem(
                "bad_request_line", 400, "This is not HTTP. Is it TLS, which ends at the proxy?"
            )
        elif self.data.find(b"\n\n", begin) >= 0:
            self.is_whole = True  # lines without CR never make a head; the parser refuses them
        elif len(self.data) > MAX_HEAD_BYTES:
            raise head_too_large()

    def _begin_body(self, head_bytes: int) -> None:
        self._head_bytes = self._position = head_bytes
        head = bytes(self.data[:head_bytes])
        self._limits = limits_of(_path(head))
        self.deadline = monotonic() + self._limits.body_seconds
        if not CHUNKED.search(head):
            self._end = head_bytes + _length(head)
            if self._end - head_bytes > self._limits.max_bytes:
                if not self._limits.view_refuses:
                    raise TooLarge(self._limits.max_bytes)
                self.is_whole = True  # whose body is not read
        if not self.is_whole and self._end != head_bytes and len(self.data) == head_bytes:
            self.wants_continue = bool(EXPECTS_CONTINUE.search(head))

    def _look_for_end(self) -> None:
        if self._end is None:
            self._skip_chunks()
            max_bytes = self._limits.max_bytes
            excess = len(self.data) - self._head_bytes - 2 * max_bytes - MAX_FRAMING_BYTES
            if self._chunked_bytes > max_bytes or (excess > 0 and not self.is_whole):
                raise TooLarge(max_bytes)
        else:
            self.is_whole = len(self.data) >= self._end

    def _skip_chunks(self) -> None:
        while (end := self.data.find(b"\r\n", self._position)) >= 0:
            size = CHUNK_SIZE.match(self.data, self._position)
            if size is None:
                raise Problem("bad_chunk", 400, "The chunked body is malformed.")
            chunk_bytes = int(size[1], 16)
            if chunk_bytes == 0:
                self.is_whole = (
                    self.data[end + 2 : end + 4] == b"\r\n" or self.data.find(b"\r\n\r\n", end) >= 0
                )
                if len(self.data) - end > MAX_FRAMING_BYTES and not self.is_whole:
                    raise head_too_large()  # trailers are headers, too
                return
            self._chunked_bytes += chunk_bytes
            self._position = end + 2 + chunk_bytes + 2
        if len(self.data) - self._position > MAX_CHUNK_LINE_BYTES:
            self.is_whole = True


def _length(head: bytes) -> int:
    """Return the length of the body. Raises Problem for one that the parser might read in another
    way.
    """
    lengths = {length.strip(b" \t").lstrip(b"0") or b"0" for length in LENGTH.findall(head)}
    if not lengths:
        return 0
    if len(lengths) > 1 or not DIGITS.fullmatch(next(iter(lengths))):
        raise Problem("bad_header", 400, "The request's Content-Length is not one number of bytes.")
    return int(lengths.pop())


def _path(head: bytes) -> str:
    """Return the path of the request line, as far as there is one."""
    _, _, rest = head.partition(b" ")
    target = rest.partition(b" ")[0].partition(b"?")[0].decode("latin-1")
    if not target.startswith("/"):
        target = ORIGIN.sub("", target, count=1)
    return unquote(target) if "%" in target else target


def head_too_large() -> Problem:
    return Problem(
        "head_too_large", 431, "The request's headers are too large; send fewer or shorter ones."
    )


def too_slow() -> Problem:
    return Problem(
        "request_timeout", 408, "The request did not come in completely in time; send it again."
    )
