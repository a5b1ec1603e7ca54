"""Runs the whole service on one machine: Valkey, mock vendors, API and worker."""

import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import IO, NamedTuple

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from enrichlabs.config import addresses, environment
from enrichlabs.standalone import bootstrap, startup, valkey, welcome
from enrichlabs.standalone.startup import StartupError
from jobs.worker.supervisor import GRACE_SECONDS, KeepsDying, Supervisor
from jobs.worker.supervisor.processes import Program

READY_TIMEOUT_SECONDS = 60.0
READY_ANSWER_SECONDS = 10.0
WORKER_GRACE_SECONDS = GRACE_SECONDS - 5  # the rest is for releasing unfinished jobs
MOCK_HOST = "127.0.0.1"


def main() -> int:
    supervisor = Supervisor()
    try:
        startup.load_settings()
        with startup.locked_data_folder() as lock:
            check()
            with supervisor:
                start(supervisor, lock)
                welcome.show(f"http://{api_address()}", serves_mocks(), allows_anonymous())
                bootstrap.close_store()
                supervisor.watch()
    except (StartupError, KeepsDying, ImproperlyConfigured) as error:
        startup.report(error)
        return 1
    return 0


def check() -> None:
    """Raises StartupError."""
    ports = {"PORT": (settings.HOST.strip("[]"), settings.PORT)}
    if serves_mocks():
        ports["MOCK_PORT"] = (MOCK_HOST, settings.MOCK_PORT)
    startup.check_ports(ports)
    startup.check_store()
    if not settings.EMBEDS_VALKEY:
        startup.check_redis()


def start(supervisor: Supervisor, lock: IO[str]) -> None:
    """Start all processes and return when the service is ready. Each stage needs those before it.

    Raises StartupError, and what Supervisor.watch raises.
    """
    if settings.EMBEDS_VALKEY:
        supervisor.start(valkey.program(lock.fileno()))
        if not supervisor.wait_until(valkey.answers, READY_TIMEOUT_SECONDS):
            raise StartupError("The embedded Valkey does not answer. See its output above.")
    bootstrap.prepare(f"http://{MOCK_HOST}:{settings.MOCK_PORT}")
    if serves_mocks():
        supervisor.start(mock_vendors())
    supervisor.start(api())
    if not supervisor.wait_until(is_serving, READY_TIMEOUT_SECONDS):
        raise StartupError(f"The API does not answer within {READY_TIMEOUT_SECONDS:.0f} s.")
    # Only now: a vendor may answer the first calls of the worker with callbacks at once.
    supervisor.start(worker())
    if not supervisor.wait_until(lambda: not why_unready(), READY_TIMEOUT_SECONDS):
        raise StartupError(f"Not ready within {READY_TIMEOUT_SECONDS:.0f} s: {why_unready()}")


def serves_mocks() -> bool:
    return not settings.VENDORS_FILE or settings.MOCK_VENDORS


def allows_anonymous() -> bool:
    """Return whether requests need no API key until there is one: by default, if only this machine
    reaches the service.
    """
    if environment.text("ALLOW_ANONYMOUS").strip():
        return settings.ALLOW_ANONYMOUS
    # Behind https, a proxy on this machine may let others in.
    is_public = settings.PUBLIC_URL.startswith("https://")
    urls = (f"http://{settings.HOST}", settings.PUBLIC_URL)
    return not is_public and all(map(addresses.is_loopback, urls))


def api() -> Program:
    serves = ["api", "admin", "webhooks"]
    program = _gunicorn("API", settings.HOST, settings.PORT, serves)
    is_allowed = str(int(allows_anonymous()))
    program.environment = {**(program.environment or {}), "ALLOW_ANONYMOUS": is_allowed}
    return program


def mock_vendors() -> Program:
    """Workers call them at MOCK_HOST, whatever names the API has."""
    options = ["--workers=1", "--threads=64"]
    program = _gunicorn("mock vendors", MOCK_HOST, settings.MOCK_PORT, ["mock"], options)
    program.environment = {**(program.environment or {}), "ALLOWED_HOSTS": MOCK_HOST}
    return program


def _gunicorn(
    name: str, host: str, port: int, serves: Sequence[str], options: Sequence[str] = ()
) -> Program:
    command = [sys.executable, "-m", "gunicorn", "--config=python:enrichlabs.gunicorn"]
    command += [f"--bind={host}:{port}", *options, "enrichlabs.wsgi"]
    return Program(name, command, {**_environment(serves), "SERVES": ",".join(serves)})


def worker() -> Program:
    options = {
        "processes": settings.WORKER_PROCESSES,
        "threads": settings.WORKER_THREADS,
        "grace-seconds": WORKER_GRACE_SECONDS,
    }
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "run_worker"]
    command += [f"--{name}={value}" for name, value in options.items()]
    return Program("worker", command, _environment(serves=[]))


def _environment(serves: Sequence[str]) -> dict[str, str]:
    """Return our environment without the variables that such a process does not need."""
    unneeded = environment.unneeded(serves)
    return {name: value for name, value in os.environ.items() if name not in unneeded}


def api_address() -> str:
    """Return where this machine reaches the API."""
    return f"{addresses.reached_at(settings.HOST)}:{settings.PORT}"


def is_serving() -> bool:
    """Return whether the API and the callback endpoint answer."""
    try:
        return _ask("/healthz").status == HTTPStatus.OK
    except (OSError, HTTPException):
        return False


def why_unready() -> str:
    """Return what /readyz reports as missing; empty when the service is ready."""
    try:
        answer = _ask("/readyz")
        parts = json.loads(answer.body)
    except (OSError, HTTPException, ValueError) as error:
        return f"The API does not answer ({error})."
    if answer.status == HTTPStatus.OK:
        return ""
    return " ".join(str(text) for text in parts.values() if text != "ok")


class _Answer(NamedTuple):
    status: int
    body: bytes


def _ask(path: str) -> _Answer:
    """GET a path of the API. Raises OSError, HTTPException."""
    host = settings.ALLOWED_HOSTS[0].lstrip(".").replace("*", "localhost")
    with closing(HTTPConnection(api_address(), timeout=READY_ANSWER_SECONDS)) as connection:
        connection.request("GET", path, headers={"Host": host})
        response = connection.getresponse()
        return _Answer(response.status, response.read())
