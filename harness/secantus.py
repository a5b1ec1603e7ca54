"""A MongoDB to harm: SecantusDB on files that outlive it, with or without a replica set, logins and
TLS.
"""

import subprocess
import sys
from pathlib import Path

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from harness.ports import free_port
from harness.waiting import wait_for


class SecantusDB:
    def __init__(self, folder: Path, *options: str, client: str = "") -> None:
        """Take options of secantusd-py, and what a client must say in its URL."""
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
        # On the disk before it is acknowledged, so that nothing is lost when it is killed.
        where = [
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--storage-path",
            str(self.folder),
            "--sync-on-commit",
        ]
        command = [
            Path(sys.executable).with_name("secantusd-py"),
            *where,
            "--log-level",
            "ERROR",
            *self._options,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self._answers, "SecantusDB to answer", 60)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self, *options: str) -> None:
        self.kill()
        self._options = options
        self.start()

    def _answers(self) -> bool:
        assert self.process.poll() is None, "SecantusDB has ended"
        with pymongo.MongoClient(self.url(self._client), serverSelectionTimeoutMS=1000) as client:
            try:
                return bool(client.admin.command("ping"))
            except OperationFailure:
                return True  # it asks who we are
            except PyMongoError:
                return False
