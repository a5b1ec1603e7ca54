"""Refuses requests that have waited too long for a thread, before Django sees them
(docs/decisions/0008-overload.md).

gunicorn's queue of requests without a thread has no limit. Under overload, each would wait for
longer than its client does, and be answered for nothing. A refusal costs a fraction of the work, so
the queue stays short.
"""

import socket
import struct
import sys
from collections.abc import Iterable
from time import monotonic
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from jobs.api.problems import Problem

MAX_WAIT_SECONDS = 1.0
# Never refused: probes ask whether the process is alive, and mock vendors are slow on request.
EXEMPT = ("/healthz", "/mock-vendors/")
LAST_DATA_OFFSET = 52  # tcpi_last_data_recv in Linux' struct tcp_info, in milliseconds


def waited_seconds(environ: WSGIEnvironment, serving_since: float) -> float:
    """Return how long ago the request's last byte arrived, even if the connection was not accepted
    yet; 0 if that is unknown. The time before `serving_since`, in monotonic time, does not count:
    a request that comes while this process starts says nothing about its load.
    """
    connection: Any = environ.get("gunicorn.socket")
    if sys.platform != "linux" or connection is None:
        return 0.0
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, LAST_DATA_OFFSET + 4)
    except (OSError, AttributeError):
        return 0.0  # not TCP, or not a socket
    milliseconds: int = struct.unpack_from("I", info, LAST_DATA_OFFSET)[0]
    return min(milliseconds / 1000, monotonic() - serving_since)


def is_late(environ: WSGIEnvironment, waited: float) -> bool:
    return waited > MAX_WAIT_SECONDS and not environ["PATH_INFO"].startswith(EXEMPT)


def refuse(start_response: StartResponse, problem: Problem) -> Iterable[bytes]:
    response = problem.response()
    start_response(f"{response.status_code} {response.reason_phrase}", [*response.items()])
    return [response.content]
