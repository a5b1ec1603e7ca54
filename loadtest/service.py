"""Checks whether a running service is ready, or waits until it has no open job.

service.py ready|settled BASE_URL

It sends the API key in the variable API_KEY, if that is set.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_SECONDS = 10
SETTLE_TIMEOUT_SECONDS = 60.0
CHECK_INTERVAL_SECONDS = 0.5
OPEN = ("queued", "processing")


def ready(base_url: str) -> str:
    """Return a line that says why the service can't be tested, or "" if it can."""
    try:
        status, answer = ask(base_url, "/readyz")
    except (OSError, HTTPException, ValueError) as error:
        return f"Nothing answers {base_url}/readyz ({error}). Start script/server, or set BASE_URL."
    if status != HTTPStatus.OK:
        missing = " ".join(str(text) for text in answer.values() if text != "ok")
        return f"The service at {base_url} is not ready. {missing}"
    status, answer = ask(base_url, "/jobs?limit=1")
    return "" if status == HTTPStatus.OK else f"{answer.get('detail')} Set it as API_KEY."


def settled(base_url: str) -> str:
    """Wait until no job is open; return a line about jobs that are still open after a minute."""
    since = time.monotonic()
    while still_open := open_statuses(base_url):
        if time.monotonic() - since > SETTLE_TIMEOUT_SECONDS:
            return (
                f"Jobs are still {' and '.join(still_open)} after {SETTLE_TIMEOUT_SECONDS:.0f} s."
            )
        time.sleep(CHECK_INTERVAL_SECONDS)
    sys.stdout.write(
        f"All accepted jobs were final {time.monotonic() - since:.1f} s after the end.\n"
    )
    return ""


def open_statuses(base_url: str) -> list[str]:
    # Queued is checked again at the end: a job may have returned to it meanwhile.
    found = [
        status
        for status in (*OPEN, OPEN[0])
        if ask(base_url, f"/jobs?status={status}&limit=1")[1]["items"]
    ]
    return list(dict.fromkeys(found))


def ask(base_url: str, path: str) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object of the response.

    Raises OSError, HTTPException or ValueError.
    """
    parts = urlsplit(base_url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", f"{parts.path}{path}", headers=authorization())
        response = connection.getresponse()
        return response.status, dict(json.load(response))
    finally:
        connection.close()


def authorization() -> dict[str, str]:
    """Return the header with the API key of the environment, if there is one."""
    key = os.environ.get("API_KEY", "")
    return {"Authorization": f"Bearer {key}"} if key else {}


if __name__ == "__main__":
    check: Callable[[str], str] = {"ready": ready, "settled": settled}[sys.argv[1]]
    if obstacle := check(sys.argv[2]):
        sys.exit(f"script/loadtest: {obstacle}")
