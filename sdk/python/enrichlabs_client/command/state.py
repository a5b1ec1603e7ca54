"""What was submitted for an output file, so that the same command goes on after any interruption.

A journal beside the output: a line before each upload and one after it. A line that was cut off is
as if it had not been written: its rows are sent again under the same idempotency key, which adds
nothing. It holds no input and no API key.
"""

import fcntl
import json
import os
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from enrichlabs_client.command.failures import UsageError

ENDING = ".enrichlabs-state"


@dataclass
class Part:
    """Rows that are one batch."""

    first: int
    rows: int
    batch_id: str | None = None


@dataclass
class State:
    path: Path
    descriptor: int
    submission: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    by_again: bool = False
    """It was begun with --again."""
    ended: bool = False
    """The command that began it did all that it was asked for."""
    parts: dict[int, Part] = field(default_factory=dict)

    @classmethod
    def open(cls, output: Path) -> Self:
        """Read it, or create an empty one. Nobody else can until it is closed."""
        path = output.with_name(output.name + ENDING)
        descriptor = _locked(path, output)
        state = cls(path, descriptor)
        with os.fdopen(os.dup(descriptor), "rb") as file:
            *lines, cut_off = file.read().split(b"\n")
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - len(cut_off))
        try:
            for line in lines:
                state._apply(json.loads(line))
        except (ValueError, KeyError, TypeError):
            os.close(descriptor)
            raise UsageError(f"{path} is not a state file. Move it away.") from None
        return state

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if not self.key:
            self.path.unlink(missing_ok=True)
        os.close(self.descriptor)

    @property
    def exists(self) -> bool:
        return bool(self.key)

    def begin(self, submission: dict[str, Any], *, again: bool) -> None:
        """Forget what was there, and begin a new submission."""
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        self.parts, self.ended = {}, False
        self._write({"submission": submission, "key": str(uuid.uuid4()), "again": again})

    def record(self, first: int, rows: int, batch_id: str | None = None) -> None:
        self._write({"first": first, "rows": rows, "batch": batch_id})

    def end(self) -> None:
        if not self.ended:
            self._write({"ended": True})

    def key_of(self, first: int) -> str:
        return f"{self.key}-{first}"

    def room(self, first: int, total: int) -> int:
        """Return how many rows a part may have that begins here."""
        if first in self.parts:
            return self.parts[first].rows
        return min((each for each in self.parts if each > first), default=total) - first

    def _write(self, entry: dict[str, Any]) -> None:
        os.lseek(self.descriptor, 0, os.SEEK_END)
        os.write(self.descriptor, json.dumps(entry).encode() + b"\n")
        os.fsync(self.descriptor)
        self._apply(entry)

    def _apply(self, entry: dict[str, Any]) -> None:
        if "submission" in entry:
            self.submission, self.key = entry["submission"], entry["key"]
            self.by_again = entry["again"]
        elif "first" in entry:
            part = Part(entry["first"], entry["rows"], entry["batch"])
            self.parts[part.first] = part
        else:
            self.ended = True


def _locked(path: Path, output: Path) -> int:
    """Open the file, and lock it for as long as it is open."""
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"{path} can't be written: {error.strerror}.") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise UsageError(f"Another command is working on {output}. Wait for it.") from None
        if _is_at(path, descriptor):
            os.fchmod(descriptor, 0o600)
            return descriptor
        os.close(descriptor)  # whoever had it removed it in between


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
