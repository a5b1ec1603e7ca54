"""A strict HTTP response: anything but exactly one complete final response is an error, or ends the
connection.

The standard library takes every 1xx head but 100 for a final response, leaves unread bytes in its
buffer, and accepts invalid lengths. On a connection that is reused, each of these gives one call
the bytes of another.
"""

import http.client
import io
import re
from typing import Any

MAX_INTERIM_HEADS = 10
MAX_LINES = 100
MAX_HEAD_BYTES = 64 * 1024  # for one head, and for the trailers
MAX_READS = 10_000
MAX_CHUNKS = 50_000
STATUS_LINE = re.compile(rb"HTTP/(1\.[0-9]) +([1-9][0-9]{2})(?: ([^\r\n]*))?\r?\n")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r?\n")
CHUNK_END = re.compile(rb"\r?\n")
HEADER = re.compile(rb"([!-9;-~]+):[ \t]*([^\r\n]*?)[ \t]*\r?\n")
LENGTH = re.compile(r"[0-9]{1,18}")


class BadResponseError(http.client.HTTPException):
    """The message completes the sentence "The vendor's answer is not valid HTTP: ..."."""


class Source(io.RawIOBase):
    """The bytes of a connection for one response: at most MAX_READS reads, none once `finished`."""

    def __init__(self) -> None:
        self.finished = False
        self._reads = 0

    def readable(self) -> bool:
        return True

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readinto(self, buffer: Any) -> int | None:
        if self.finished:
            return 0
        self._reads += 1
        if self._reads > MAX_READS:
            raise BadResponseError(f"it came in more than {MAX_READS} pieces")
        return self.receive_into(buffer)

    def receive_into(self, buffer: Any) -> int | None:
        raise NotImplementedError


class Response(http.client.HTTPResponse):
    """One response, read from a Source.

    `is_complete`: it was read to its end and nothing followed it. Only then may its connection be
    reused.
    """

    def __init__(self, source: Source, *args: Any, **kwargs: Any) -> None:
        # HTTPResponse only calls makefile on what it takes for a socket.
        super().__init__(source, *args, **kwargs)  # type: ignore[arg-type]
        self.is_complete = False
        self._source = source
        self._is_answer_to_head = kwargs.get("method") == "HEAD"
        self._chunks = 0
        self._ended = False

    def begin(self, *_: Any, **__: Any) -> None:
        version, status, reason = self._final_status()
        if status == 101:
            raise BadResponseError("it switches to another protocol (status 101)")
        self.version = 10 if version == b"1.0" else 11
        self.code = self.status = status
        self.reason = reason.decode("iso-8859-1").strip()
        self.headers = self.msg = _parsed(self._lines("head"))
        self.chunked, self.chunk_left = self._is_chunked(), None
        self.length = self._length()
        if self._is_answer_to_head:  # its length is that of another method's body
            self.chunked, self.length = False, 0
        ends_with_connection = self.length is None and not self.chunked
        self.will_close: bool = self._check_close() or ends_with_connection  # type: ignore[attr-defined]
        if self.chunked and (self.version == 10 or "Content-Length" in self.headers):
            # Chunks take precedence over a length. Sending both is ambiguous, so the connection
            # is not reused.
            del self.headers["Content-Length"]
            self.will_close = True

    def read1(self, n: int = -1) -> bytes:
        """Return a part of the body, b"" at its end.

        Raises BadResponseError, or IncompleteRead if the connection was lost.
        """
        if self.fp is None or not self.chunked:
            return super().read1(n)
        left = self.chunk_left or self._begin_chunk()
        if not left:
            return b""
        data: bytes = self.fp.read1(left if n < 0 else min(n, left))
        if not data:
            raise http.client.IncompleteRead(b"")
        self.chunk_left = left - len(data)
        return data

    def _final_status(self) -> tuple[bytes, int, bytes]:
        for _ in range(MAX_INTERIM_HEADS + 1):
            version, status, reason = self._status_line()
            if status >= 200 or status == 101:
                return version, status, reason
            self._lines("head")
        raise BadResponseError(f"it has more than {MAX_INTERIM_HEADS} interim responses")

    def _status_line(self) -> tuple[bytes, int, bytes]:
        line = self.fp.readline(MAX_HEAD_BYTES)
        if match := STATUS_LINE.fullmatch(line):
            return match[1], int(match[2]), match[3] or b""
        is_cut_off = len(line) < MAX_HEAD_BYTES and not line.endswith(b"\n")
        if is_cut_off and b"HTTP/1.".startswith(line[:7]):
            raise http.client.RemoteDisconnected("The connection was lost in the status line.")
        raise BadResponseError("it does not begin with a status line of HTTP/1.1")

    def _lines(self, part: str) -> list[bytes]:
        """Return the lines of the head or of the trailers, including the empty last one."""
        lines: list[bytes] = []
        left = MAX_HEAD_BYTES
        while len(lines) <= MAX_LINES:
            line = self.fp.readline(left)
            if not line.endswith(b"\n"):
                if len(line) == left:
                    raise BadResponseError(f"its {part} is longer than {MAX_HEAD_BYTES} bytes")
                raise http.client.RemoteDisconnected(f"The connection was lost in the {part}.")
            lines.append(line)
            if line in (b"\r\n", b"\n"):
                return lines
            left -= len(line)
        raise BadResponseError(f"its {part} has more than {MAX_LINES} lines")

    def _is_chunked(self) -> bool:
        named = self.headers.get_all("Transfer-Encoding")
        if named is None:
            return False
        codings = [coding.strip().lower() for value in named for coding in value.split(",")]
        if codings not in (["chunked"], ["identity"]):
            raise BadResponseError("its Transfer-Encoding is not chunked")
        return codings == ["chunked"]

    def _length(self) -> int | None:
        named = self.headers.get_all("Content-Length")
        if named is None:
            return 0 if self.status in (204, 304) else None
        lengths = {length.strip() for value in named for length in value.split(",")}
        if not all(map(LENGTH.fullmatch, lengths)):
            raise BadResponseError("its Content-Length is not a number of bytes")
        length, *others = set(map(int, lengths))
        if others:
            raise BadResponseError("it has two different Content-Lengths")
        if self.status in (204, 304):
            return 0
        return None if self.chunked else length

    def _begin_chunk(self) -> int:
        """Return the size of the next chunk. It is 0 at the end; the trailers are then read."""
        if self.chunk_left == 0:
            self._chunk_line(CHUNK_END)
        size = int(self._chunk_line(CHUNK_SIZE)[1], 16)
        self._chunks += 1
        if self._chunks > MAX_CHUNKS:
            raise BadResponseError(f"its body has more than {MAX_CHUNKS} chunks")
        if size == 0:
            self._lines("trailer")
            self._ended = True
            self._close_conn()
        return size

    def _chunk_line(self, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        line = self.fp.readline(MAX_HEAD_BYTES)
        if match := pattern.fullmatch(line):
            return match
        if len(line) < MAX_HEAD_BYTES and not line.endswith(b"\n"):
            raise http.client.IncompleteRead(b"")
        raise BadResponseError("a chunk of its body does not begin with its size or end after it")

    def _close_conn(self) -> None:
        self._source.finished = True
        has_ended = self._ended or (self.chunked is False and self.length == 0)
        self.is_complete = has_ended and not self.fp.peek(1)
        super()._close_conn()  # type: ignore[misc]


def _parsed(lines: list[bytes]) -> http.client.HTTPMessage:
    """Return the headers of a head.

    http.client would use the parser for e-mail, which is slower and accepts more than HTTP allows.
    """
    pairs: list[tuple[str, str]] = []
    for line in lines[:-1]:
        if match := HEADER.fullmatch(line):
            pairs.append((match[1].decode("ascii"), match[2].decode("iso-8859-1")))
        elif line[:1] in b" \t" and pairs:  # a folded value (RFC 9112, 5.2)
            name, value = pairs[-1]
            pairs[-1] = name, f"{value} {line.decode('iso-8859-1').strip()}"
        else:
            raise BadResponseError("a line of its head is not a header")
    headers = http.client.HTTPMessage()
    for name, value in pairs:
        headers.set_raw(name, value)
    return headers
