"""The WSGI application. It reads request bodies itself, because Django ignores chunked ones, and
those of the API only when their view asks for them: first it finds out who sent them.
"""

import os
from collections.abc import Iterable
from contextlib import nullcontext
from wsgiref.types import StartResponse, WSGIEnvironment

import django
from django.http import HttpResponse
from django.urls import get_resolver

from enrichlabs.http.connection import close_after_response
from enrichlabs.http.overload import is_late, refuse, waited_seconds
from enrichlabs.http.request_limits import limits_of
from enrichlabs.http.wsgi_request import Body, Handler
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
    body = environ["wsgi.input"] = Body(environ, limits.max_bytes)
    try:
        if not limits.view_refuses:
            body.load()
    except Problem as problem:
        return refuse(start_response, problem)
    # The whole request is there: the store's time counts from its last byte.
    seconds = limits.patience_seconds
    with patience(seconds - waited_seconds(environ)) if seconds else nullcontext():
        response = handler(environ, start_response)
    headers = getattr(response, "headers", {})  # a file has none
    if headers.get("Connection") == "close":
        close_after_response(environ)  # gunicorn drops that header, and sends its own
    if environ["REQUEST_METHOD"] == "HEAD" and isinstance(response, HttpResponse):
        response.content = b""  # its Content-Length stays
    return response
