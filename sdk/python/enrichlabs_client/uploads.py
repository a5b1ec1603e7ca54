"""Jobs on their way to the service: as lines of JSON in files, so that they can be sent again
without being in memory.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO

from enrichlabs_client.errors import InvalidArgument

MAX_LINES = 50_000
MAX_BYTES = 64 * 1024 * 1024  # sent within the 10 minutes that the service gives, at 1 Mbit/s

Item = Mapping[str, object] | str
"""A job: its fields, or its JSON text, which is sent as it is."""


class Part:
    """A file of up to MAX_LINES jobs. It has no name, so that nothing is left of it."""

    def __init__(self) -> None:
        self.file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 it outlives this call
        self.lines = 0
        self.size = 0

    def has_room(self, line: bytes) -> bool:
        return self.lines < MAX_LINES and (not self.lines or self.size + len(line) <= MAX_BYTES)

    def add(self, line: bytes) -> None:
        self.file.write(line)
        self.lines += 1
        self.size += len(line)

    def close(self) -> None:
        self.file.close()


def parts(jobs: Iterable[Item]) -> Iterator[Part]:
    """Write the jobs to files, and yield each when it is full. It is closed after that."""
    part = Part()
    try:
        for number, job in enumerate(jobs):
            line = as_line(job, number)
            if not part.has_room(line):
                yield part
                part.close()
                part = Part()
            part.add(line)
        if part.lines:
            yield part
    finally:
        part.close()


def as_line(job: Item, number: int) -> bytes:
    """Return the job as a line. Raises InvalidArgument, whose text shows no input."""
    try:
        text = job if isinstance(job, str) else as_json(job)
        line = text.encode()
    except ValueError:  # or InvalidArgument, which is one
        raise InvalidArgument(f"Job {number} (from 0) has a value that JSON can't hold.") from None
    if b"\n" in line or not line.strip():
        raise InvalidArgument(f"The text of job {number} (from 0) is not one line.")
    return line + b"\n"


def as_json(value: object) -> str:
    """Return JSON that can be sent. Raises InvalidArgument, whose text shows no input."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidArgument(
            "A value is none that JSON can hold, such as NaN or half of a surrogate pair."
        ) from None
    return text
