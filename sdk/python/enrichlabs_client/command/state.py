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
from typing import Any, Self, cast

from enrichlabs_client.command.failures import UsageError

ENDING = ".enrichlabs-state"
BEGINNING = b'{"submission": {'


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
        try:
            for number, line in enumerate(lines):
                state._apply(_checked(json.loads(line), is_first=number == 0))
            if not lines:
                _check_beginning(cut_off)
        except (ValueError, RecursionError):
            os.close(descriptor)
            raise state.no_state_file() from None
        os.ftruncate(descriptor, os.fstat(descriptor).st_size - len(cut_off))
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

    def no_state_file(self) -> UsageError:
        return UsageError(f"{self.path} is not a state file, or is damaged. Move it away.")

    def check_parts(self, total: int) -> None:
        """Raise UsageError if the parts are none of so many rows, each of them in one part."""
        end = 0
        for first, part in sorted(self.parts.items()):
            if first < end:
                raise self.no_state_file()
            end = first + part.rows
        if end > total:
            raise self.no_state_file()

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


def _checked(entry: Any, *, is_first: bool) -> dict[str, Any]:
    """Return a line of the file if it is one that this module writes. Raises ValueError."""
    match entry:
        case {"submission": dict(submission), "key": str(key), "again": bool()}:
            is_valid = str(uuid.UUID(key)) == key and isinstance(submission.get("reference"), str)
        case {"first": first, "rows": rows, "batch": None | str(), "refused": refused}:
            counts = (first, rows - 1, refused) if _is_count(rows) else ()
            is_valid = bool(counts) and all(map(_is_count, counts)) and entry["batch"] != ""
        case {"first": first, "rows": rows}:
            is_valid = _is_count(first) and _is_count(rows) and not rows
        case {"key_prefix": str()} | {"ended": True}:
            is_valid = True
        case _:
            is_valid = False
    if not is_valid or is_first != ("submission" in entry):
        raise ValueError
    return cast("dict[str, Any]", entry)


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0  # True is an int too


def _check_beginning(line: bytes) -> None:
    """Raise ValueError unless it is the beginning of the first line, of which a failure of the
    machine may leave a part, with zeros behind it.
    """
    if not BEGINNING.startswith(line.rstrip(b"\0")[: len(BEGINNING)]):
        raise ValueError


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
