"""The WSGI application. It reads request bodies itself, because Django ignores chunked ones, and
those of the API only when their view asks for them: first it finds out who sent them.
"""

import os
from collections.abc import Iterable
from contextlib import nullcontext
from time import monotonic
from wsgiref.types import StartResponse, WSGIEnvironment

import django
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import get_resolver

from enrichlabs.http.connection import close_after_response, stream_response
from enrichlabs.http.overload import is_late, refuse, waited_seconds
from enrichlabs.http.request_limits import Limits, limits_of
from enrichlabs.http.upload import Upload
from enrichlabs.http.wsgi_request import Body, Handler
from jobs.api.problems import Problem, overloaded
from jobs.storage.store import patience

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "enrichlabs.settings")
django.setup(set_prefix=False)
from jobs import tallies  # noqa: E402 - it needs the models

handler = Handler()
# Imports all views now, or the first requests would wait for that and pile up.
get_resolver().url_patterns  # noqa: B018
serving_since = monotonic()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    method, content_type = environ["REQUEST_METHOD"], environ.get("CONTENT_TYPE", "")
    limits = limits_of(environ["PATH_INFO"], method, content_type)
    body = environ["wsgi.input"] = (Upload if limits.is_upload else Body)(environ, limits.max_bytes)
    response: Iterable[bytes]
    try:
        if is_late(environ, waited_seconds(environ, serving_since)):
            tallies.count("overloaded")
            raise overloaded()
        if isinstance(body, Body) and not limits.view_refuses:
            body.load()
    except Problem as problem:
        response = refuse(start_response, problem)
    else:
        response = _answer(environ, start_response, limits)
    body.close()
    return response


def _answer(
    environ: WSGIEnvironment, start_response: StartResponse, limits: Limits
) -> Iterable[bytes]:
    # The whole request is there: the store's time counts from its last byte.
    seconds = limits.patience_seconds
    with patience(seconds - waited_seconds(environ, serving_since)) if seconds else nullcontext():
        response = handler(environ, start_response)
    headers = getattr(response, "headers", {})  # a file has none
    if headers.get("Connection") == "close":
        close_after_response(environ)  # gunicorn drops that header, and sends its own
    if environ["REQUEST_METHOD"] == "HEAD":
        _drop_content(response)
    elif limits.streams_responses and isinstance(response, StreamingHttpResponse):
        stream_response(environ)
    return response


def _drop_content(response: object) -> None:
    if isinstance(response, HttpResponse):
        response.content = b""  # its Content-Length stays
    elif isinstance(response, StreamingHttpResponse):
        response.streaming_content = ()
