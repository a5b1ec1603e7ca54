"""Measures a move: SQLite to a file, to MongoDB, to a file, and back to SQLite. A JSON line for
each step (loadtest/README.md says more):

.venv/bin/python -m loadtest.move --jobs 100000
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
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

import django

from harness.mongodb import mongodb
from harness.running import ROOT, environment

BATCH = 5000
AGE = timedelta(days=40)
STATUSES = ["complete", "complete", "failed", "cancelled", "waiting", "queued"]
MICROSECONDS = re.compile(rb"(\.\d{3})\d{3}Z")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument(
        "--other",
        metavar="URL",
        help="of an empty MongoDB, or sqlite; default: a SecantusDB of its own",
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that it cleans up
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
    tell("fill", jobs=count, seconds=fill(folder, first, count))
    step(folder, "export from SQLite", first, "export", files[0])
    step(folder, "import into the other store", url, "import", files[0])
    step(folder, "import into the other store again", url, "import", files[0])
    step(folder, "export from the other store", url, "export", files[1])
    step(folder, "import into SQLite", last, "import", files[1])
    step(folder, "export from SQLite", last, "export", files[2])
    tell("compare", lines_that_differ=differing(files[0], files[2]), to="the millisecond")


def step(folder: Path, what: str, store: str, command: str, file: Path) -> None:
    since = time.monotonic()
    used = manage(folder, store, command, str(file))
    size = file.stat().st_size / 1e6
    tell(
        what,
        seconds=time.monotonic() - since,
        cpu_seconds=used.ru_utime,
        peak_mb=used.ru_maxrss / 1024,
        file_mb=size,
    )


def manage(folder: Path, store: str, *arguments: str) -> Any:
    """Run manage.py on a store, and return what it has used."""
    variables = environment(folder, DATABASE_URL=store, LOG_LEVEL="WARNING")
    process = subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said = process.stdout.read().decode() if process.stdout else ""
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"manage.py {arguments[0]} has failed:\n{said}")
    return used


def fill(folder: Path, store: str, count: int) -> float:
    """Make two vendors, and jobs with a try each and a callback for every third; returns how many
    seconds it took.
    """
    os.environ.update(
        DJANGO_SETTINGS_MODULE="enrichlabs.settings",
        ENRICHLABS_DATA=str(folder),
        DATABASE_URL=store,
    )
    django.setup()
    from jobs.models import Attempt, Callback, Job
    from jobs.storage.store import writing
    from vendors.models import Vendor

    since = time.monotonic()
    for slug in ("sync", "async"):
        Vendor.objects.create(
            slug=slug, adapter=slug, url="https://vendor.example/", rate_limits="20/s"
        )
    for done in range(0, count, BATCH):
        jobs = [job(number) for number in range(done, min(done + BATCH, count))]
        with writing():
            Job.objects.bulk_create(jobs)
            Attempt.objects.bulk_create([attempt(each) for each in jobs])
            Callback.objects.bulk_create([callback(each) for each in jobs[::3]])
    return time.monotonic() - since


def job(number: int) -> Any:
    from jobs.models import Job

    status, name = STATUSES[number % len(STATUSES)], f"Jöhn Doe {number}"
    is_final = status in ("complete", "failed", "cancelled")
    result = {
        "name": name,
        "info": "Processed async",
        "scores": [number / 7, 2**70, None],
        "note": "x" * 200,
    }
    return Job.new(
        id=old_id(),
        vendor=("sync", "async")[number % 2],
        name=name,
        input={"name": name, "address": {"city": "Tōkyō", "half": "\ud83d"}},
        status=status,
        attempt=1,
        result=result if status == "complete" else None,
        deadline_at=moment() if status == "waiting" else None,
        started_at=moment(),
        finished_at=moment() if is_final else None,
    )


def attempt(job: Any) -> Any:
    from jobs.models import Attempt

    times = {"started_at": moment(), "ended_at": moment()}
    return Attempt(
        id=old_id(),
        job=job.pk,
        vendor=job.vendor,
        run=1,
        number=1,
        worker="host-1-0a1b2c3d",
        outcome="done",
        **times,
    )


def callback(job: Any) -> Any:
    from jobs.models import Callback

    body = {"info": "Processed async", "note": "y" * 200}
    tried = {"job": job.pk, "vendor": job.vendor, "run": 1, "attempt": 1}
    pk = old_id()
    return Callback(
        id=pk, key=pk, body=body, body_bytes=230, verdict="applied", received_at=moment(), **tried
    )


def moment() -> datetime:
    return datetime.now(UTC) - AGE


def old_id() -> str:
    """Return an id as it was made then."""
    from jobs.api.pagination import first_id_at
    from vendors.models import new_id

    return first_id_at(moment())[:14] + new_id()[14:]


def differing(one: Path, other: Path) -> int:
    """Return how many lines of the two files differ, times to the millisecond."""
    with one.open("rb") as file, other.open("rb") as second:
        return sum(first != last for first, last in zip_longest(cut(file), cut(second)))


def cut(file: Any) -> Iterator[bytes]:
    return (MICROSECONDS.sub(rb"\g<1>000Z", line) for line in file)


def tell(what: str, **figures: Any) -> None:
    rounded = {
        name: round(value, 2) if isinstance(value, float) else value
        for name, value in figures.items()
    }
    sys.stdout.write(json.dumps({"step": what, **rounded}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
