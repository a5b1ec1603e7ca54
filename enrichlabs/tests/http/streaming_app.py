"""The WSGI application, in which an upload is only hashed, and results are as long as asked for."""

import hashlib
import logging
from collections.abc import Iterator
from errno import ECONNRESET

from django.http import HttpResponseBase, StreamingHttpResponse
from django.http.request import UnreadablePostError
from rest_framework.request import Request
from rest_framework.response import Response

from enrichlabs import wsgi
from jobs.api.access import slots
from jobs.api.batches.views import BatchViewSet
from jobs.api.input import bodies
from jobs.api.problems import overloaded

log = logging.getLogger(__name__)

PART_BYTES = 64 * 1024
application = wsgi.application


def create(self: BatchViewSet, request: Request) -> Response:
    """Read `?bytes=` of the body, or all of it."""
    wanted = int(request.query_params.get("bytes", 10**12))
    digest, count = hashlib.sha256(), 0
    with slots.transfers.taken() as has_place:
        if not has_place:
            raise overloaded()
        while count < wanted and (part := _read(request)):
            digest.update(part)
            count += len(part)
    return Response({"bytes": count, "sha256": digest.hexdigest()}, 202)


def _read(request: Request) -> bytes:
    try:
        part: bytes = request._request.read(PART_BYTES)
    except UnreadablePostError:
        raise bodies.CutShort from None
    return part


def results(self: BatchViewSet, request: Request, batch_id: str) -> HttpResponseBase:
    parts = int(request.query_params.get("parts", 10**9))
    fails = "fails" in request.query_params
    return StreamingHttpResponse(_parts(parts, fails), content_type="application/x-ndjson")


def _parts(count: int, fails: bool) -> Iterator[bytes]:
    log.warning("The results were begun")
    try:
        for _ in range(count):
            yield b"x" * PART_BYTES
        if fails:
            raise ConnectionResetError(ECONNRESET, "as jobs.api.batches.results has it")
    finally:
        log.warning("The results were closed")


BatchViewSet.create = create
BatchViewSet.results = results
