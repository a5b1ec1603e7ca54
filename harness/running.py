"""The whole server as a process of its own, and what runs on its data folder."""

import http.client
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from harness.waiting import wait_for

ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0
STOP_SECONDS = 30.0


def environment(folder: Path, **variables: object) -> dict[str, str]:
    """Return an environment with nothing but PATH, the data folder and these variables."""
    return {
        "PATH": os.environ["PATH"],
        "ENRICHLABS_DATA": str(folder),
        **{name: str(value) for name, value in variables.items()},
    }


def processes_of(folder: Path) -> dict[int, str]:
    """Return the command lines of all processes that use the data folder, by process id."""
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
    """python -m enrichlabs.server on a data folder of its own. Its output goes to a file."""

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
        def is_ready_or_ended() -> bool:
            return "is ready" in self.output or self.process.poll() is not None

        wait_for(is_ready_or_ended, "the server to be ready", START_SECONDS)
        assert "is ready" in self.output, self.output
        return self

    def children(self, words: str) -> list[int]:
        """Return the process ids of the children whose command line contains these words."""
        found = [pid for pid, command in processes_of(self.folder).items() if words in command]
        return [pid for pid in found if parent_of(pid) == self.process.pid]

    def api_processes(self) -> tuple[int, list[int]]:
        """Return the process id of the API's gunicorn, and those of its workers."""
        found = processes_of(self.folder)
        [master] = [
            pid for pid in self.children("enrichlabs.wsgi") if f":{self.port} " in found[pid]
        ]
        return master, sorted(pid for pid in found if parent_of(pid) == master)

    def kill_api_worker(self) -> int:
        """Kill one of the API's gunicorn workers, and return its process id."""
        worker = self.api_processes()[1][0]
        os.kill(worker, signal.SIGKILL)
        return worker

    def kill_api(self) -> None:
        """Kill all of the API's gunicorn. The server starts it again."""
        master, workers = self.api_processes()
        for pid in (master, *workers):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def get(self, path: str) -> tuple[int, bytes]:
        return get(self.port, path)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it and return its exit status."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """Kill it and every process that still uses its data folder."""
        self.process.kill()
        self.process.wait()
        for pid in processes_of(self.folder):
            os.kill(pid, signal.SIGKILL)


def parent_of(pid: int) -> int:
    """Return the process id of the parent, or 0 if the process has just ended."""
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
