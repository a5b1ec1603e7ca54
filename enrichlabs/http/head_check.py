"""Checks who sends a request before its body is waited for
(docs/decisions/0023-checking-a-key-on-the-headers.md).
"""

import logging
from time import monotonic

from django.db import close_old_connections
from gunicorn.http import get_parser, wsgi
from gunicorn.http.errors import ParseException

from enrichlabs.http import refusals
from enrichlabs.http.connection import Connection
from enrichlabs.http.overload import is_late
from enrichlabs.http.request_limits import Limits
from enrichlabs.http.wsgi_request import Request
from jobs.api import problems
from jobs.api.access.authentication import authenticate
from jobs.api.problems import Problem
from jobs.storage.store import patience

log = logging.getLogger(__name__)


def refusal_of(
    head: bytes, connection: Connection, limits: Limits, asked_at: float
) -> Problem | None:
    """Return why the request with this head must be refused, or None to read its body. `asked_at`,
    in monotonic time, is when a thread was asked for this.

    This can only refuse early. Whether the request is let in is decided by its view.
    """
    try:
        request = _request(head, connection)
        waited = monotonic() - asked_at
        if is_late(request.META, waited):
            return problems.overloaded()
        with patience((limits.patience_seconds or 0.0) - waited):
            authenticate(request)
    except ParseException as error:
        return refusals.problem_of(error)
    except Exception as error:
        problem = problems.of(error)
        if problem is None:
            log.error("Failed to check the head of a request", exc_info=error)
        return problem
    finally:
        close_old_connections()  # as after each request
    return None


def _request(head: bytes, connection: Connection) -> Request:
    """Parse the head exactly as the whole request will be. Raises ParseException."""
    parser = get_parser(connection.cfg, iter([head]), connection.client)
    message = next(parser)
    message._expected_100_continue = False  # answered once the request is let in
    server, client = connection.server, connection.client
    _, environ = wsgi.create(message, connection.sock, client, server, connection.cfg)
    return Request(environ)
