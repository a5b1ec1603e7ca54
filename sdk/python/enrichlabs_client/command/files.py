"""The input file: what it is, and whether it stays the same."""

import codecs
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from enrichlabs_client.command.failures import UsageError

MAX_LINE = 1024 * 1024  # in characters; a job has at most 64 KiB
BLOCK_BYTES = 1024 * 1024
CSV, JSON_LINES = "csv", "jsonl"
ENDINGS = {
    ".csv": CSV,
    ".tsv": CSV,
    ".txt": CSV,
    ".jsonl": JSON_LINES,
    ".ndjson": JSON_LINES,
}
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class InputFile:
    path: Path
    sha256: str
    encoding: str
    notice: str = ""
    """What to tell about the encoding."""
    stamp: tuple[int, ...] = ()

    @property
    def needs_mark(self) -> bool:
        """Whether what is made of it in UTF-8 begins with a byte order mark, as it does itself. So
        does what comes from a spreadsheet in another encoding: the spreadsheet would take UTF-8
        without a mark for that encoding, and show wrong letters.
        """
        return codecs.lookup(self.encoding).name != "utf-8"

    def check_unchanged(self) -> None:
        if _stamp(self.path) != self.stamp:
            raise UsageError(f"{self.path} was changed while this command read it.")

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield the number and text of each line, with its ending. Line feeds alone end JSON's."""
        with self.path.open(encoding=self.encoding, newline="") as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise UsageError(f"{self.path}, line {number}: it is longer than 1 MiB.")
                if "\0" in line:
                    raise UsageError(
                        f"{self.path}, line {number}: it has a NUL character, which the service "
                        "refuses. Remove it."
                    )
                yield number, line


def format_of(path: Path) -> str | None:
    """Return csv or jsonl if the name of the file tells."""
    return ENDINGS.get(path.suffix.lower())


def delimiter_of(path: Path) -> str | None:
    """Return what separates the cells of the file if its name tells."""
    return "\t" if path.suffix.lower() == ".tsv" else None


def check_output(path: Path) -> None:
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a regular file. Name another with -o.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}. Create it first.")


def check_output_name(path: Path) -> None:
    if not format_of(path):
        raise UsageError(
            f"{path} is not written, because its name tells no format that this command has. End "
            "it with .csv or .txt (CSV), .tsv (CSV with tabs), or .jsonl or .ndjson (JSON lines)."
        )


def input_format(path: Path, forced: str | None) -> str:
    found = forced or format_of(path)
    if not found:
        raise UsageError(
            f"{path} may be anything: its name says neither CSV nor JSON lines. Save a spreadsheet "
            "as CSV. Name a file of text .csv or .jsonl, or use --format."
        )
    return found


def open_input(path: Path, encoding: str | None) -> InputFile:
    """Read the file once, for its digest and its encoding."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UsageError(f"{path} is not a regular file. Save the input to a file first.")
        stamp = _stamp(path)
        if not stamp[0]:
            raise UsageError(f"{path} is empty.")
        with path.open("rb") as file:
            first = file.read(3)
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}.") from None
    marked = next((name for mark, name in MARKS if first.startswith(mark)), None)
    digest, broken = _read(path, encoding or marked or "utf-8")
    if not broken:
        return InputFile(path, digest, encoding or marked or "utf-8", stamp=stamp)
    if encoding or marked:
        raise UsageError(
            f"{path}, line {broken}: it is not {encoding or marked}. Name another with --encoding."
        )
    # What spreadsheets save is Windows-1252, of which Latin-1 is a part but for five bytes.
    found = "latin-1" if _read(path, "cp1252")[1] else "cp1252"
    name = "Latin-1" if found == "latin-1" else "Windows-1252"
    notice = (
        f"{path} is not UTF-8 (line {broken}), so it is read as {name}. --encoding names another."
    )
    return InputFile(path, digest, found, notice, stamp)


def _read(path: Path, encoding: str) -> tuple[str, int]:
    """Return the digest, and the first line that can't be decoded, or 0."""
    try:
        "".encode(encoding)  # of codecs, some are none of text
        decoder = codecs.getincrementaldecoder(encoding)()
    except (LookupError, UnicodeError):
        raise UsageError(f"There is no encoding {encoding}.") from None
    digest, line, broken = hashlib.sha256(), 1, 0
    with path.open("rb") as file:
        while True:
            block = file.read(BLOCK_BYTES)
            digest.update(block)
            if not broken:
                try:
                    text = decoder.decode(block, final=not block)
                    line += text.count("\n")
                except UnicodeDecodeError as error:
                    broken = line + error.object[: error.start].count(b"\n")
                except UnicodeError:  # such as UTF-16 that does not say its order of bytes
                    broken = line
            if not block:
                return digest.hexdigest(), broken


def _stamp(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns, found.st_ino
