"""Measures a move: from SQLite to a file, to MongoDB, to a file, and back to SQLite. Prints one
line of JSON per step.

    .venv/bin/python -m loadtest.move --jobs 100000

loadtest/README.md explains the figures.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import Any

from harness.mongodb import mongodb
from harness.running import ROOT, environment
from loadtest.old_jobs import fill
from loadtest.own_service import say

MICROSECONDS = re.compile(rb"(\.\d{3})\d{3}Z")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument(
        "--other", metavar="URL", help="URL of an empty MongoDB, or sqlite (default: SecantusDB)"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # cleans up
    with tempfile.TemporaryDirectory(prefix="move-") as folder, other_store(options.other) as url:
        move(Path(folder), url or f"sqlite://{folder}/other.sqlite3", options.jobs)


@contextmanager
def other_store(named: str | None) -> Iterator[str]:
    if named is not None:
        yield named.removeprefix("sqlite")
    else:
        with mongodb() as (url, _):
            yield url


def move(folder: Path, url: str, count: int) -> None:
    first, last = (f"sqlite://{folder}/{name}.sqlite3" for name in ("first", "last"))
    files = [folder / f"{number}.jsonl" for number in (1, 2, 3)]
    for store in (first, url, last):
        manage(folder, store, "migrate", "-v0")
    show("fill", jobs=count, seconds=fill(folder, first, count))
    step(folder, "export from SQLite", first, "export", files[0])
    step(folder, "import into the other store", url, "import", files[0])
    step(folder, "import into the other store again", url, "import", files[0])
    step(folder, "export from the other store", url, "export", files[1])
    step(folder, "import into SQLite", last, "import", files[1])
    step(folder, "export from SQLite", last, "export", files[2])
    show("compare", lines_that_differ=differing(files[0], files[2]), to="the millisecond")


def step(folder: Path, what: str, store: str, command: str, file: Path) -> None:
    since = time.monotonic()
    usage = manage(folder, store, command, str(file))
    show(
        what,
        seconds=time.monotonic() - since,
        cpu_seconds=usage.ru_utime,
        peak_mb=usage.ru_maxrss / 1024,
        file_mb=file.stat().st_size / 1e6,
    )


def manage(folder: Path, store: str, *arguments: str) -> Any:
    """Run manage.py on a store and return its resource usage."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(folder, DATABASE_URL=store, LOG_LEVEL="WARNING"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = process.stdout.read().decode() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"manage.py {arguments[0]} failed:\n{output}")
    return usage


def differing(one: Path, other: Path) -> int:
    """Return how many lines of the two files differ, with times to the millisecond."""
    with one.open("rb") as first, other.open("rb") as second:
        pairs = zip_longest(to_milliseconds(first), to_milliseconds(second))
        return sum(line != other_line for line, other_line in pairs)


def to_milliseconds(file: Any) -> Iterator[bytes]:
    return (MICROSECONDS.sub(rb"\g<1>000Z", line) for line in file)


def show(step: str, **figures: Any) -> None:
    rounded = {
        name: round(value, 2) if isinstance(value, float) else value
        for name, value in figures.items()
    }
    say(json.dumps({"step": step, **rounded}))


if __name__ == "__main__":
    main()
