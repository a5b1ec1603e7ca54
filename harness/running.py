"""Real processes of ours for tests: the whole server, or one gunicorn."""

import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path

from harness.waiting import wait_for

ROOT = Path(__file__).parents[1]


def environment(folder: Path, **variables: object) -> dict[str, str]:
    """Return an environment in which nothing is set but what a test names."""
    return {
        "PATH": os.environ["PATH"],
        "ENRICHLABS_DATA": str(folder),
        **{name: str(value) for name, value in variables.items()},
    }


def processes_of(folder: Path) -> dict[int, str]:
    """Return the command lines, by process id, of all that runs on the data folder."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if str(folder).encode() in command + (process / "environ").read_bytes():
                found[int(process.name)] = command.replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has just ended
    return found


class Server:
    """python -m enrichlabs.server on a data folder of its own; its output is kept in a file."""

    def __init__(self, folder: Path, **variables: object) -> None:
        self.folder = folder
        self.port = int(str(variables["PORT"]))
        self._output = folder.with_suffix(".log")
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "enrichlabs.server"],
                cwd=ROOT,
                env=environment(folder, **variables),
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def wait_until_ready(self) -> "Server":
        wait_for(
            lambda: "is ready" in self.output or self.process.poll() is not None,
            "the server to be ready",
            seconds=60,
        )
        assert "is ready" in self.output, self.output
        return self

    def children(self, words: str) -> list[int]:
        """Return the process ids of the children whose command line has these words."""
        found = [pid for pid, command in processes_of(self.folder).items() if words in command]
        return [pid for pid in found if parent_of(pid) == self.process.pid]

    def get(self, path: str) -> tuple[int, bytes]:
        return get(self.port, path)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(30)

    def kill(self) -> None:
        """End everything that is left, whatever the test has done to it."""
        self.process.kill()
        self.process.wait()
        for pid in processes_of(self.folder):
            os.kill(pid, signal.SIGKILL)


def parent_of(pid: int) -> int:
    """Return the process id of the parent; 0 where the process has just ended."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def get(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
