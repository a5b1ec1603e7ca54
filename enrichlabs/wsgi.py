"""The WSGI application. It reads request bodies itself: Django ignores chunked bodies, and a slow
upload must not use up the time that the store is given.
"""

import os
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from io import BytesIO
from wsgiref.types import StartResponse, WSGIEnvironment

import django
from django.http import HttpResponse
from django.urls import get_resolver

from enrichlabs.http.overload import is_late, refuse, waited_seconds
from enrichlabs.http.request_limits import Limits, limits_of
from enrichlabs.http.wsgi_request import Handler
from jobs.api.bodies import TooLarge
from jobs.api.problems import Problem, overloaded
from jobs.storage.store import patience

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "enrichlabs.settings")
django.setup(set_prefix=False)
handler = Handler()
# Imports all views now, or the first requests would wait for that and pile up.
get_resolver().url_patterns  # noqa: B018


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if is_late(environ, waited_seconds(environ)):
        return refuse(start_response, overloaded())
    limits = limits_of(environ["PATH_INFO"])
    try:
        read_body(environ, limits)
    except Problem as problem:
        return refuse(start_response, problem)
    # The deadline counts from the end of the body.
    seconds = limits.patience_seconds
    with patience(seconds - waited_seconds(environ)) if seconds else nullcontext():
        response = handler(environ, start_response)
    if environ["REQUEST_METHOD"] == "HEAD" and isinstance(response, HttpResponse):
        response.content = b""  # its Content-Length stays
    return response


def read_body(environ: WSGIEnvironment, limits: Limits) -> None:
    """Read the whole body, and set the length of a chunked one. Raises TooLarge, unless the view
    itself refuses such bodies.
    """
    stream, body, max_bytes = environ["wsgi.input"], b"", limits.max_bytes
    length = int(environ.get("CONTENT_LENGTH") or 0)  # gunicorn accepts only digits
    if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
        body = stream.read(max_bytes + 1)
        length = len(body)
        environ["CONTENT_LENGTH"] = str(length)
    elif length <= max_bytes:
        with suppress(OSError):  # a body that was cut short is noticed by its length
            body = stream.read(length)
    if length > max_bytes:
        stream.failed = True  # gunicorn closes the connection instead of reading the rest
        if not limits.view_refuses:
            raise TooLarge(max_bytes)
    environ["wsgi.input"] = BytesIO(body)
