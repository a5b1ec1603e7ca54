"""The query, with a callback's token, is read as UTF-8 whatever charset the body has."""

import io
import json

import pytest
from django.core.signals import request_started
from django.db import close_old_connections

from enrichlabs.wsgi import application
from jobs.callbacks import tokens
from jobs.models import Job, Status

pytestmark = pytest.mark.sqlite  # about requests, whatever the store


@pytest.fixture(autouse=True)
def _one_connection():
    """Keep the test's own connection, which a request would close when it begins."""
    request_started.disconnect(close_old_connections)
    yield
    request_started.connect(close_old_connections)


def call(
    method: str, path: str, query: str, content_type: str, body: bytes = b""
) -> tuple[str, bytes]:
    """Return status and body of the WSGI application's response."""
    statuses = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": content_type,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    }

    def start_response(status, headers, exc_info=None):
        statuses.append(status)

    body = b"".join(application(environ, start_response))
    return statuses[0], body


CONTENT_TYPES = [
    f"x; charset={charset}"
    for charset in ("hex", "utf-16", "utf-7", "idna", "undefined", "rot13", "cp037", "'", "")
]
CONTENT_TYPES += [
    "x; a*=hex''b",
    "x; a*=utf-8'%ff",
    "multipart/form-data",
    "application/x-www-form-urlencoded; charset=hex",
]


@pytest.mark.django_db
@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_a_callback_is_accepted_with_any_content_type(
    make_vendor, make_job, content_type, redis_client
):
    make_vendor("acme", adapter="async")
    job = make_job(status=Status.WAITING, attempt=1)
    token = tokens.make("acme", job.pk, job.run, job.attempt)
    path = f"/vendor-webhook/acme/{job.pk}"
    status, _ = call("POST", path, f"token={token}", content_type, json.dumps({"a": "b"}).encode())
    assert status == "200 OK"
    assert Job.objects.get(pk=job.pk).result == {"a": "b"}


@pytest.mark.django_db
@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_the_query_is_read_with_any_content_type(content_type):
    assert call("GET", "/jobs", "limit=1", content_type)[0] == "200 OK"
    status, body = call("GET", "/jobs", "limit=0", content_type)
    assert (status, json.loads(body)["code"]) == ("400 Bad Request", "min_value")
