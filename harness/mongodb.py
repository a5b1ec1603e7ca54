"""A MongoDB of the tests' own: SecantusDB, which speaks the wire protocol.

python -m harness.mongodb COMMAND runs the command with DATABASE_URL set to it. TEST_MONGODB_URL
names another, a real one; databases whose names begin with test_ are made and emptied there.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymongo

from harness.ports import free_port
from harness.waiting import wait_for


@contextmanager
def mongodb() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Give the URL of an empty MongoDB, and its process."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        port = free_port()
        options = [
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--storage-path",
            folder,
            "--standalone",
            "--log-level",
            "ERROR",
        ]
        process = subprocess.Popen(
            [Path(sys.executable).with_name("secantusd-py"), *options], stdout=subprocess.DEVNULL
        )
        try:
            wait_for(lambda: process.poll() is not None or answers(port), "SecantusDB to answer")
            yield f"mongodb://127.0.0.1:{port}/enrichlabs", process
        finally:
            process.kill()
            process.wait()


def answers(port: int) -> bool:
    with pymongo.MongoClient("127.0.0.1", port, serverSelectionTimeoutMS=500) as client:
        try:
            return bool(client.admin.command("ping"))
        except pymongo.errors.PyMongoError:
            return False


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    if url := os.environ.get("TEST_MONGODB_URL"):
        return run_on(url)
    with mongodb() as (url, _):
        return run_on(url)


def run_on(url: str) -> int:
    return subprocess.run(
        sys.argv[1:], env={**os.environ, "DATABASE_URL": url}, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
