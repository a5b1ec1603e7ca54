"""What gunicorn serves. Bodies are read here: Django reads none without a length, and what drips
must not cost its patience.
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
# Every view is imported now: else the first requests would wait for that, and bunch up.
get_resolver().url_patterns  # noqa: B018


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if is_late(environ, waited_seconds(environ)):
        return refuse(start_response, overloaded())
    limits = limits_of(environ["PATH_INFO"])
    try:
        read_body(environ, limits)
    except Problem as problem:
        return refuse(start_response, problem)
    # A body may take its time: from its end on, it is ours.
    seconds = limits.patience_seconds
    with patience(seconds - waited_seconds(environ)) if seconds else nullcontext():
        response = handler(environ, start_response)
    if environ["REQUEST_METHOD"] == "HEAD" and isinstance(response, HttpResponse):
        response.content = b""  # its length was told with the head
    return response


def read_body(environ: WSGIEnvironment, limits: Limits) -> None:
    """Read the body, and give it a length where it came in chunks. Raises TooLarge, unless the view
    is to say so.
    """
    stream, body, max_bytes = environ["wsgi.input"], b"", limits.max_bytes
    length = int(environ.get("CONTENT_LENGTH") or 0)  # gunicorn has refused any other than digits
    if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
        body = stream.read(max_bytes + 1)
        length = len(body)
        environ["CONTENT_LENGTH"] = str(length)
    elif length <= max_bytes:
        with suppress(OSError):  # that it was cut short is seen by its length
            body = stream.read(length)
    if length > max_bytes:
        stream.failed = True  # so that gunicorn closes the connection instead of reading the rest
        if not limits.view_refuses:
            raise TooLarge(max_bytes)
    environ["wsgi.input"] = BytesIO(body)
