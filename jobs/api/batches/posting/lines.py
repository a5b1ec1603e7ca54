"""The lines of an uploaded body, as its bytes arrive."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

READ_BYTES = 64 * 1024
BLANK = b" \t\r"


@dataclass(frozen=True)
class LongLine:
    """A line that was skipped. `digest` is the SHA-256 of what it held."""

    digest: str

    def __len__(self) -> int:
        return 0  # what is kept of it


def read_lines(read: Callable[[int], bytes], max_bytes: int) -> Iterator[bytes | LongLine]:
    """Yield each line that is not blank, without its end. Of one that is longer than `max_bytes`,
    no more than READ_BYTES are kept at a time.

    `read` returns up to that many bytes as they arrive, and none at the end.
    """
    rest = b""
    while data := read(READ_BYTES):
        *lines, rest = (rest + data).split(b"\n")
        yield from _not_blank(lines, max_bytes)
        if len(rest) > max_bytes + len(b"\r"):
            digest, rest = _skip(read, rest)
            yield LongLine(digest)
    yield from _not_blank(rest.split(b"\n"), max_bytes)


def _not_blank(lines: list[bytes], max_bytes: int) -> Iterator[bytes | LongLine]:
    for line in lines:
        if len(line.removesuffix(b"\r")) > max_bytes:
            yield LongLine(hashlib.sha256(line).hexdigest())
        elif content := line.strip(BLANK):
            yield content


def _skip(read: Callable[[int], bytes], start: bytes) -> tuple[str, bytes]:
    """Read to the end of the line; return its digest, and what was read after it."""
    digest, rest, is_ended = hashlib.sha256(start), b"", False
    while not is_ended and (data := read(READ_BYTES)):
        part, end, rest = data.partition(b"\n")
        digest.update(part)
        is_ended = bool(end)
    return digest.hexdigest(), rest
