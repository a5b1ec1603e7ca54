"""What gunicorn serves. Django reads no body without a Content-Length; a body in chunks is read here and given one."""

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
    waited = waited_seconds(environ)
    if is_late(environ, waited):
        return refuse(start_response)
    if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
        # One byte more than anybody takes, so that what is too large is seen to be.
        body = environ["wsgi.input"].read(settings.CALLBACK_MAX_BYTES + 1)
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
    seconds = PATIENCE_SECONDS.get(environ["PATH_INFO"].lstrip("/").partition("/")[0])
    with patience(seconds - waited) if seconds else nullcontext():
        return django(environ, start_response)
