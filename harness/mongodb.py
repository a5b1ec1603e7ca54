"""SecantusDB, which speaks MongoDB's wire protocol, for tests.

    python -m harness.mongodb COMMAND

runs the command with DATABASE_URL set to an empty SecantusDB. Set TEST_MONGODB_URL to use a real
MongoDB instead: databases whose names begin with test_ are created and emptied there.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from harness.ports import free_port
from harness.waiting import wait_for

START_SECONDS = 60.0


class SecantusDB:
    """A server on files that outlive it: it can be killed and restarted."""

    def __init__(self, folder: Path, *options: str, client: str = "") -> None:
        """`options` are those of secantusd-py; `client` is what a client's URL needs for them."""
        self.folder = folder
        self.port = free_port()
        self._options = options
        self._client = client
        self.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, options: str = "", login: str = "") -> str:
        return f"mongodb://{login}{self.address}/enrichlabs?{options}"

    def start(self) -> None:
        # Synced before it is acknowledged, so that a kill loses nothing.
        self.process = start_secantusdb(self.port, self.folder, "--sync-on-commit", *self._options)
        wait_for(self._answers, "SecantusDB to answer", START_SECONDS)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self, *options: str) -> None:
        self.kill()
        self._options = options
        self.start()

    def _answers(self) -> bool:
        assert self.process.poll() is None, "SecantusDB has ended"
        return answers(self.url(self._client))


@contextmanager
def mongodb() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Yield the URL of an empty SecantusDB, and its process."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        port = free_port()
        url = f"mongodb://127.0.0.1:{port}/enrichlabs"
        process = start_secantusdb(port, Path(folder), "--standalone")
        try:
            wait_for(lambda: process.poll() is not None or answers(url), "SecantusDB to answer")
            yield url, process
        finally:
            process.kill()
            process.wait()


def start_secantusdb(
    port: int, folder: Path, *options: str, host: str = "127.0.0.1"
) -> subprocess.Popen[bytes]:
    command = secantusdb_command(port, folder, *options, host=host)
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def secantusdb_command(
    port: int, folder: Path, *options: str, host: str = "127.0.0.1"
) -> list[str]:
    server = str(Path(sys.executable).with_name("secantusd-py"))
    where = ["--host", host, "--port", str(port), "--storage-path", str(folder)]
    return [server, *where, "--log-level", "ERROR", *options]


def answers(url: str, timeout_ms: int = 1000) -> bool:
    client: pymongo.MongoClient[dict[str, Any]]
    with pymongo.MongoClient(url, serverSelectionTimeoutMS=timeout_ms) as client:
        try:
            return bool(client.admin.command("ping"))
        except OperationFailure:
            return True  # it asks for a login
        except PyMongoError:
            return False


def main() -> int:
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    if url := os.environ.get("TEST_MONGODB_URL"):
        return run_on(url)
    with mongodb() as (url, _):
        return run_on(url)


def run_on(url: str) -> int:
    environment = {**os.environ, "DATABASE_URL": url}
    return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
