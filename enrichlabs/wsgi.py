"""What gunicorn serves. Django reads no body without a Content-Length; a body in chunks is read here and given one."""

import os
from collections.abc import Iterable
from io import BytesIO
from wsgiref.types import StartResponse, WSGIEnvironment

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "enrichlabs.settings")
django = get_wsgi_application()
# Every view is imported now: else the first requests would wait for that, and bunch up.
get_resolver().url_patterns  # noqa: B018


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if "HTTP_TRANSFER_ENCODING" in environ and environ.get("wsgi.input_terminated"):
        # One byte more than anybody takes, so that what is too large is seen to be.
        body = environ["wsgi.input"].read(settings.CALLBACK_MAX_BYTES + 1)
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
    return django(environ, start_response)
