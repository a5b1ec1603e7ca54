"""Runs the whole service on one machine: python -m enrichlabs.server, which script/server calls."""

import json
import logging
import os
import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import IO

from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from enrichlabs.config import addresses, environment
from enrichlabs.standalone import bootstrap, preflight, valkey
from enrichlabs.standalone.children import GRACE_SECONDS, Child, Children
from enrichlabs.standalone.preflight import Obstacle

log = logging.getLogger("enrichlabs.server")  # not __main__

READY_SECONDS = 60.0
WORKER_GRACE_SECONDS = GRACE_SECONDS - 5  # so that it has time to hand the rest back
MOCK_HOST = "127.0.0.1"
MOCK_PATH = "/mock-vendors/"


def main() -> int:
    children = Children()
    try:
        preflight.load_settings()
        with preflight.the_data_folder() as lock:
            check()
            with children:
                start(children, lock)
                announce()
                children.watch()
    except (Obstacle, ImproperlyConfigured) as obstacle:
        preflight.tell(obstacle)
        return 1
    return 0


def check() -> None:
    mock_port = {"MOCK_PORT": (MOCK_HOST, settings.MOCK_PORT)} if serves_mocks() else {}
    preflight.check_ports({"PORT": (settings.HOST.strip("[]"), settings.PORT), **mock_port})
    preflight.check_store()
    if not settings.EMBEDS_VALKEY:
        preflight.check_redis()


def start(children: Children, lock: IO[str]) -> None:
    """Start everything and return when it is ready for jobs. Each stage needs those before it, and
    is stopped before them.
    """
    options = "--workers=1", "--threads=64"
    # Workers call the mock vendors there, whatever names the API has.
    mocks = web_server(
        "mock vendors", MOCK_HOST, settings.MOCK_PORT, "mock", *options, ALLOWED_HOSTS=MOCK_HOST
    )
    front = web_server("API", settings.HOST, settings.PORT, "api,admin,webhooks"), worker()
    if settings.EMBEDS_VALKEY:
        children.start(valkey.child(lock.fileno()))
        children.wait_until(
            valkey.answers,
            READY_SECONDS,
            lambda: "The embedded Valkey does not answer; its words are above.",
        )
    bootstrap.prepare(f"http://{MOCK_HOST}:{settings.MOCK_PORT}")
    if serves_mocks():
        children.start(mocks)
    children.start(*front)
    children.wait_until(
        lambda: not unready(),
        READY_SECONDS,
        lambda: f"Not ready within {READY_SECONDS:.0f} s: {unready()}",
    )


def serves_mocks() -> bool:
    return not settings.VENDORS_FILE or settings.MOCK_VENDORS


def web_server(
    name: str, host: str, port: int, doors: str, *options: str, **variables: str
) -> Child:
    bind = f"--bind={host}:{port}"
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--config=python:enrichlabs.gunicorn",
        bind,
        *options,
        "enrichlabs.wsgi",
    ]
    return Child(name, command, environment_of(doors, SERVES=doors, **variables))


def worker() -> Child:
    options = {
        "processes": settings.WORKER_PROCESSES,
        "threads": settings.WORKER_THREADS,
        "grace-seconds": WORKER_GRACE_SECONDS,
    }
    arguments = [f"--{name}={value}" for name, value in options.items()]
    return Child(
        "worker",
        [sys.executable, settings.BASE_DIR / "manage.py", "run_worker", *arguments],
        environment_of(""),
    )


def environment_of(doors: str, **variables: str) -> dict[str, str]:
    """Return the environment of a process that opens these doors: no more of ours than it needs."""
    unneeded = environment.unneeded(doors.split(",") if doors else [])
    return {name: value for name, value in os.environ.items() if name not in unneeded} | variables


def address() -> str:
    """Return where this machine reaches the API."""
    return f"{addresses.reached_at(settings.HOST)}:{settings.PORT}"


def unready() -> str:
    """Return what /readyz says is missing; empty when nothing is."""
    allowed = settings.ALLOWED_HOSTS[0].lstrip(".").replace("*", "localhost")
    connection = HTTPConnection(address(), timeout=10)
    try:
        connection.request("GET", "/readyz", headers={"Host": allowed})
        response = connection.getresponse()
        answer = json.load(response)
    except (OSError, HTTPException, ValueError) as error:
        return f"The API does not answer ({error})."
    finally:
        connection.close()
    return (
        ""
        if response.status == HTTPStatus.OK
        else " ".join(str(text) for text in answer.values() if text != "ok")
    )


def announce() -> None:
    url = f"http://{address()}"
    vendors = dict(
        apps.get_model("vendors", "Vendor")
        .objects.filter(enabled=True)
        .order_by("slug")
        .values_list("slug", "url")
    )
    served = [
        slug for slug, mock_url in vendors.items() if serves_mocks() or MOCK_PATH not in mock_url
    ]
    if unserved := ", ".join(slug for slug in vendors if slug not in served):
        words = "The mock vendors are not run, but these vendors lead to them: %s. Disable them, or set MOCK_VENDORS=1."
        log.warning(words, unserved)
    vendor = served[-1] if served else "sync"
    if (
        settings.LOG_FORMAT == "json"
    ):  # without the password, which belongs to a person at a terminal
        log.info(
            "EnrichLabs is ready: API %s/jobs, console %s/admin/, data in %s",
            url,
            url,
            settings.DATA,
        )
        bootstrap.close_store()
        return
    sys.stdout.write(f"""
EnrichLabs is ready. Ctrl-C stops it.

  API    {url}/jobs
  Docs   {url}/docs
  Admin  {url}/admin/
         {bootstrap.admin_login()}
  Data   {settings.DATA}

Post a job, then fetch it by its request_id:

  curl {url}/jobs -H 'Content-Type: application/json' -d '{{"vendor": "{vendor}", "name": "John Doe"}}'
  curl {url}/jobs/REQUEST_ID

""")
    sys.stdout.flush()
    bootstrap.close_store()


if __name__ == "__main__":
    sys.exit(main())
