"""What was submitted for an output file, so that the same command goes on after any interruption.

A journal beside the output: a line before each upload and one after it. A line that was cut off is
as if it had not been written: its rows are sent again under the same idempotency key, which adds
nothing. It holds no input, and of the API key the public part.
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
    refused: int = 0


@dataclass
class State:
    path: Path
    descriptor: int
    submission: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    key_prefix: str = ""
    """The public part of the API key that was used last."""
    by_again: bool = False
    """It was begun with --again."""
    ended: bool = False
    """The command that began it did all that it was asked for."""
    parts: dict[int, Part] = field(default_factory=dict)
    _unwritten: list[dict[str, Any]] = field(default_factory=list)
    _before: bytes = b""
    """What the file held before this command began a submission."""

    @classmethod
    def open(cls, output: Path) -> Self:
        """Read it, or create an empty one. Nobody else can until it is closed."""
        path = output.with_name(output.name + ENDING)
        descriptor = _locked(path, output)
        state = cls(path, descriptor)
        *lines, cut_off = state._read().split(b"\n")
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
        if not os.fstat(self.descriptor).st_size:
            self.path.unlink(missing_ok=True)
        os.close(self.descriptor)

    @property
    def exists(self) -> bool:
        return bool(self.key)

    def begin(self, submission: dict[str, Any], key_prefix: str, *, again: bool) -> None:
        """Begin a new submission. It replaces what is in the file when its first part does."""
        self._before = self._read()
        self.parts, self.ended = {}, False
        entry = {"submission": submission, "key": str(uuid.uuid4()), "again": again}
        self._unwritten = [entry, {"key_prefix": key_prefix}]
        for each in self._unwritten:
            self._apply(each)

    def record(self, first: int, rows: int, batch_id: str | None = None, refused: int = 0) -> None:
        entry = {"first": first, "rows": rows, "batch": batch_id, "refused": refused}
        if self._unwritten:
            self._replace(b"")
        self._write(*self._unwritten, entry)
        self._unwritten = []

    def withdraw(self, first: int) -> None:
        """Forget a part of which nothing was accepted. If there is no other, the file holds what it
        held before.
        """
        self._write({"first": first, "rows": 0})
        if not self.parts:
            self._replace(self._before)

    def record_key(self, key_prefix: str) -> None:
        self._write({"key_prefix": key_prefix})

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

    def _read(self) -> bytes:
        with os.fdopen(os.dup(self.descriptor), "rb") as file:
            file.seek(0)
            return file.read()

    def _replace(self, content: bytes) -> None:
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, content, 0)

    def _write(self, *entries: dict[str, Any]) -> None:
        os.lseek(self.descriptor, 0, os.SEEK_END)
        os.write(self.descriptor, b"".join(json.dumps(each).encode() + b"\n" for each in entries))
        os.fsync(self.descriptor)
        for entry in entries:
            self._apply(entry)

    def _apply(self, entry: dict[str, Any]) -> None:
        if "submission" in entry:
            self.submission, self.key = entry["submission"], entry["key"]
            self.by_again = entry["again"]
        elif "key_prefix" in entry:
            self.key_prefix = entry["key_prefix"]
        elif "first" in entry and not entry["rows"]:
            self.parts.pop(entry["first"], None)
        elif "first" in entry:
            self.parts[entry["first"]] = Part(
                entry["first"], entry["rows"], entry["batch"], entry["refused"]
            )
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
