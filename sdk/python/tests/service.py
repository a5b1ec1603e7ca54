"""The real service, and the command as a process, for tests of both together."""

import csv
import os
import signal
import subprocess
import sys
from pathlib import Path

from harness.ports import free_port
from harness.running import ROOT, Server, environment
from harness.waiting import wait_for

VENDORS = """
[vendors.quick]
adapter = "sync"
url = "{mock}/sync"
[vendors.slow]
adapter = "async"
url = "{mock}/async?callback_delay=1.5"
[vendors.broken]
adapter = "sync"
url = "{mock}/sync?status=400"
max_attempts = 1
"""
# As `enrichlabs`, with batches of few rows.
COMMAND = """
from enrichlabs_client.command import main, submission
submission.MAX_LINES = {lines}
raise SystemExit(main.main())
"""


class Service:
    """gunicorn, a worker, Valkey and mock vendors, with an API key."""

    def __init__(self, folder: Path) -> None:
        mock = free_port()
        vendors = folder / "vendors.toml"
        vendors.write_text(VENDORS.format(mock=f"http://127.0.0.1:{mock}/mock-vendors"))
        port = free_port()
        data = folder / "data"
        variables = {"PORT": port, "MOCK_PORT": mock, "MOCK_VENDORS": 1}
        self.server = Server(data, ENRICHLABS_VENDORS=vendors, **variables)
        self.url = f"http://127.0.0.1:{port}"
        self.server.wait_until_ready()
        create = ["api_key", "create", "--client", "team", "--new-client", "--name", "test"]
        self.key = subprocess.run(
            [sys.executable, "manage.py", *create],
            cwd=ROOT,
            env=environment(data),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()


class Command:
    """A run of `enrichlabs` in a folder of its own."""

    def __init__(self, service: Service, folder: Path, *arguments: str, lines: int = 50_000):
        self._said = folder / "said.txt"
        with self._said.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", COMMAND.format(lines=lines), *arguments],
                cwd=folder,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(folder),
                    "PYTHONPATH": str(ROOT / "sdk/python"),
                    "ENRICHLABS_URL": service.url,
                    "ENRICHLABS_API_KEY": service.key,
                },
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def end(self) -> int:
        return self.process.wait(30)

    def interrupt(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.end()

    @property
    def said(self) -> str:
        return self._said.read_text()


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def uploaded(output: Path, parts: int) -> None:
    """Wait until so many batches are recorded as uploaded."""
    state = output.with_name(output.name + ".enrichlabs-state")
    wait_for(lambda: state.exists() and state.read_text().count('"batch": "') >= parts, "uploads")
