"""What gunicorn serves. Bodies are read here: Django reads none without a length, and what drips must not cost its patience."""

import os
from collections.abc import Iterable
from contextlib import nullcontext
from io import BytesIO
from wsgiref.types import StartResponse, WSGIEnvironment

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from enrichlabs.overload import is_late, refuse, waited_seconds
from jobs.store import patience

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "enrichlabs.settings")
django = get_wsgi_application()
# Every view is imported now: else the first requests would wait for that, and bunch up.
get_resolver().url_patterns  # noqa: B018

# How long after a request came in the store is still waited for. Clients are answered within 2 s. Vendors wait longer, and
# what they tell us is worth more.
PATIENCE_SECONDS = {"jobs": 1.7, "vendor-webhook": 5.0}


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if is_late(environ, waited_seconds(environ)):
        return refuse(start_response)
    seconds = PATIENCE_SECONDS.get(environ["PATH_INFO"].lstrip("/").partition("/")[0])
    read_body(environ)
    # A body may take its time: from its end on, it is ours.
    with patience(seconds - waited_seconds(environ)) if seconds else nullcontext():
        return django(environ, start_response)


def read_body(environ: WSGIEnvironment) -> None:
    """Read the body, unless it is larger than anybody takes, and give it a length where it came in chunks."""
    if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
        # One byte more than anybody takes, so that what is too large is seen to be.
        body = environ["wsgi.input"].read(settings.CALLBACK_MAX_BYTES + 1)
        environ["CONTENT_LENGTH"] = str(len(body))
    else:
        length = environ.get("CONTENT_LENGTH") or ""
        if not length.isdecimal() or int(length) > settings.CALLBACK_MAX_BYTES:
            return
        try:
            body = environ["wsgi.input"].read(int(length))
        except OSError:
            body = b""  # that it was cut short is seen by its length
    environ["wsgi.input"] = BytesIO(body)
