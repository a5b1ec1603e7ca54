"""A body that is a file: sent as it is read, and as often as needed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import IO

BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True)
class FileBody:
    """A body that is read from a file, from its beginning for each attempt."""

    file: IO[bytes]
    size: int
    on_progress: Callable[[int], None] = lambda sent: None


class FileReader:
    """What is sent of it, from its beginning."""

    def __init__(self, body: FileBody) -> None:
        body.file.seek(0)
        self._body = body
        self._sent = 0

    def read(self, size: int) -> bytes:
        block = self._body.file.read(max(size, BLOCK_BYTES))
        self._sent += len(block)
        self._body.on_progress(self._sent)
        return block
