"""Refuses what has waited too long for a thread, before Django sees it
(docs/decisions/0008-overload.md).

gunicorn keeps requests that have no thread yet in a queue without end. In overload all would wait
for longer than any client does, and be done for nobody. A refusal costs a fraction of the work, so
that the queue stays short.
"""

import socket
import struct
import sys
from collections.abc import Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from jobs.api.problems import Problem

MAX_WAIT_SECONDS = 1.0
# A probe asks whether the process lives, not whether it has time; mock vendors are as slow as they
# are told to be.
PATIENT = ("/healthz", "/mock-vendors/")
LAST_DATA_OFFSET = 52  # tcpi_last_data_recv of Linux' struct tcp_info, in milliseconds


def waited_seconds(environ: WSGIEnvironment) -> float:
    """Return how long ago the newest byte of the request came in, be it not even accepted then; 0
    where nobody knows.
    """
    connection: Any = environ.get("gunicorn.socket")
    if sys.platform != "linux" or connection is None:
        return 0.0
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_DATA_OFFSET + 4)
    except (OSError, AttributeError):
        return 0.0  # no TCP, or no socket
    milliseconds: int = struct.unpack_from("I", info, LAST_DATA_OFFSET)[0]
    return milliseconds / 1000


def is_late(environ: WSGIEnvironment, waited: float) -> bool:
    return waited > MAX_WAIT_SECONDS and not environ["PATH_INFO"].startswith(PATIENT)


def refuse(start_response: StartResponse, problem: Problem) -> Iterable[bytes]:
    response = problem.response()
    start_response(f"{response.status_code} {response.reason_phrase}", [*response.items()])
    return [response.content]
