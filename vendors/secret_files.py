"""Files that hold one secret each. They are small, and looked at again every half second."""

import os
import stat
import time
from typing import NamedTuple

MAX_BYTES = 64 * 1024
MAX_AGE_SECONDS = 0.5


class _Read(NamedTuple):
    at: float  # monotonic seconds
    state: tuple[int, ...]  # what changes when the file does; empty if there is none
    text: str
    fault: str


_read: dict[str, _Read] = {}


def text(path: str) -> str:
    """Return the text of a file; empty if it can't be used."""
    return _current(path).text


def fault(path: str) -> str:
    """Return why the file has no value, as the end of a sentence."""
    return _current(path).fault or "is empty"


def state(path: str) -> tuple[object, ...]:
    """Return the path, and what changes when the file does."""
    return (path, *_current(path).state)


def _current(path: str) -> _Read:
    known, now = _read.get(path), time.monotonic()
    if known and now - known.at <= MAX_AGE_SECONDS:
        return known
    try:
        status = os.stat(path)
        found = (status.st_ino, status.st_size, status.st_mtime_ns)
        if not stat.S_ISREG(status.st_mode):  # to open a pipe might wait for ever
            current = _Read(now, found, "", "is no regular file")
        elif known and known.state == found:
            current = known._replace(at=now)
        else:
            current = _Read(now, found, *_text_and_fault(path))
    except OSError as error:
        current = _Read(now, (), "", f"can't be read ({type(error).__name__})")
    _read[path] = current
    return current


def _text_and_fault(path: str) -> tuple[str, str]:
    with open(path, "rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        return "", f"is longer than {MAX_BYTES // 1024} KiB"
    try:
        return content.decode(), ""
    except UnicodeDecodeError:
        return "", "is not text in UTF-8"
