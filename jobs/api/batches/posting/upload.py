"""POST /batches: items as a JSON array, or as lines of which there may be many more."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.http.request import UnreadablePostError
from rest_framework.response import Response

from clients.directory import Caller
from clients.scopes import Scope
from jobs import stopping
from jobs.api import idempotency
from jobs.api.access import slots
from jobs.api.access.permissions import still_admitted
from jobs.api.batches.posting import refusals
from jobs.api.batches.posting.common import BatchInput, BatchParameters, Common
from jobs.api.batches.posting.items import Item, Items
from jobs.api.batches.posting.lines import LongLine, read_lines
from jobs.api.batches.posting.receiver import Receiver
from jobs.api.input import bodies
from jobs.api.input.validation import single_values, validated
from jobs.api.problems import Problem, not_valid, overloaded
from jobs.models import State
from jobs.storage.store import patience, seconds_left
from vendors.payloads.json_reader import InvalidJSON

JSON, LINES = "application/json", ("application/x-ndjson", "application/jsonl")
MAX_JOBS, MAX_LINES = 1000, 50_000
CHUNK_ITEMS, CHUNK_BYTES, CHUNK_SECONDS = 500, 1024 * 1024, 1.0
PATIENCE_SECONDS = 5.0  # with the store, for each chunk
# An item has as many levels as a job that is posted alone.
BATCH_JSON = replace(bodies.JOB_JSON, max_levels=bodies.JOB_JSON.max_levels + 2)
EXAMPLE = '{"vendor": "sync", "jobs": [{"name": "John Doe"}]}'

Chunk = tuple[Callable[[], Sequence[Item]], bool]  # makes its items; whether they are the last


def create(request: HttpRequest, caller: Caller) -> Response:
    """Take all items and seal the batch. Raises Problem; what was stored by then stays."""
    with slots.transfers.taken() as has_place:
        if not has_place:
            raise overloaded()
        if bodies.has_type(request, *LINES):
            receiver = _received(request, *_lines(request, caller))
        else:
            with _the_whole_batch():
                receiver = _received(request, *_json(request, caller))
    if receiver.was_sealed and receiver.unknown == receiver.received:
        raise _another_batch()
    return _accepted(receiver)


def _received(request: HttpRequest, receiver: Receiver, chunks: Iterator[Chunk]) -> Receiver:
    """Take all chunks; return the receiver."""
    for make_items, are_last in chunks:
        if receiver.received:
            if stopping.is_stopping():
                raise overloaded(
                    "The service is stopping. What it has received is kept: send the same request "
                    "again to continue."
                )
            receiver.caller = still_admitted(request, Scope.SUBMIT)
        with slots.computing:
            items = make_items()
        with patience(PATIENCE_SECONDS):
            receiver.take(items, seals=are_last)
    return receiver


@contextmanager
def _the_whole_batch() -> Iterator[None]:
    """Wait until no other batch in JSON is in the memory of this process."""
    if not slots.whole_batch.acquire(timeout=seconds_left()):
        raise overloaded()
    try:
        yield
    finally:
        slots.whole_batch.release()


def _json(request: HttpRequest, caller: Caller) -> tuple[Receiver, Iterator[Chunk]]:
    if not bodies.has_type(request, JSON):
        detail = f"Send {JSON}, or a JSON object on each line as {LINES[0]}; both in UTF-8."
        raise Problem("unsupported_media_type", 415, detail)
    key = idempotency.key_of(request)
    body = bodies.read_object(request, settings.BATCH_MAX_BYTES, BATCH_JSON, EXAMPLE)
    posted = _posted(body.get("jobs"))
    common = {name: value for name, value in body.items() if name != "jobs"}
    receiver = _receiver(caller, key, common, "pointer")
    items = Items(_common(common), have_fingerprints=key is not None)
    # All at once, so that on SQLite a request without a key is done as a whole or not at all.
    return receiver, iter([(partial(items.of_values, posted), True)])


def _posted(jobs: Any) -> list[Any]:
    """Return the array of items. Raises Problem if it is none, or has none or too many."""
    if not isinstance(jobs, list):
        code, detail = ("required", "This field is required.") if jobs is None else ("invalid", "")
        detail = detail or "Must be an array of jobs."
        raise not_valid([{"pointer": "/jobs", "code": code, "detail": detail}])
    if not jobs:
        raise _empty()
    if len(jobs) > MAX_JOBS:
        detail = f"Send at most {MAX_JOBS} jobs in JSON. As {LINES[0]} there may be {MAX_LINES}."
        raise Problem("too_many_jobs", 413, detail)
    return jobs


def _lines(request: HttpRequest, caller: Caller) -> tuple[Receiver, Iterator[Chunk]]:
    key = idempotency.key_of(request)
    if key is None:
        detail = "Send an Idempotency-Key, with which an upload that was cut off can be continued."
        raise Problem("idempotency_key_required", 400, detail)
    bodies.refuse_encoded(request)
    common: dict[str, Any] = single_values(request.GET)
    if "options" in common:
        common["options"] = _options(common["options"])
    receiver = _receiver(caller, key, common, "parameter")
    items = Items(_common(common), have_fingerprints=True)
    lines = read_lines(_reader(request), settings.JOB_MAX_BYTES)
    return receiver, ((partial(items.of_lines, chunk), last) for chunk, last in _chunks(lines))


def _options(text: str) -> Any:
    try:
        return bodies.JOB_JSON.read(text.encode(errors="surrogatepass"))
    except InvalidJSON:
        detail = 'Must be a JSON object, such as {"expires_in": 3600}.'
        error = {"parameter": "options", "code": "invalid", "detail": detail}
        raise not_valid([error]) from None


def _receiver(caller: Caller, key: str | None, common: dict[str, Any], place: str) -> Receiver:
    """Return the receiver of a new batch, or of the one with this key. Raises Problem if what the
    items have in common is not valid.
    """
    reference = common.get("reference")
    receiver = Receiver(caller, reference if isinstance(reference, str) else "", key)
    with patience(PATIENCE_SECONDS):
        is_found = receiver.find()
    receiver.was_sealed = receiver.is_sealed
    serializer = BatchInput if place == "pointer" else BatchParameters
    context = {"caller": caller, "is_new": not is_found}
    prefix = "/" if place == "pointer" else ""
    validated(serializer(context=context), common, place, prefix)
    return receiver


def _common(common: dict[str, Any]) -> Common:
    return Common(common.get("vendor"), common.get("options", {}))


def _reader(request: HttpRequest) -> Any:
    """Return a function that reads the body as it comes, and raises Problem if it is cut short."""
    expected = bodies.content_length(request)
    received = 0

    def read(size: int) -> bytes:
        nonlocal received
        try:
            data = request.read(size)
        except UnreadablePostError:
            raise bodies.CutShort from None
        received += len(data)
        if not data and received < expected:
            raise bodies.CutShort
        return data

    return read


def _chunks(
    lines: Iterator[bytes | LongLine],
) -> Iterator[tuple[Sequence[bytes | LongLine], bool]]:
    """Yield the lines in chunks that are bounded in number, bytes and time, and with each whether
    it is the last. What has come whole before a problem is not lost: it is yielded first.
    """
    chunk: list[bytes | LongLine] = []
    chunk_bytes, since, count = 0, time.monotonic(), 0
    try:
        for line in lines:
            if count == MAX_LINES:
                raise _too_many_lines()
            count += 1
            chunk.append(line)
            chunk_bytes += len(line)
            is_slow = time.monotonic() - since >= CHUNK_SECONDS
            if len(chunk) == CHUNK_ITEMS or chunk_bytes >= CHUNK_BYTES or is_slow:
                yield chunk, False
                chunk, chunk_bytes, since = [], 0, time.monotonic()
    except Problem:
        if chunk:
            yield chunk, False
        raise
    if not count:
        raise _empty()
    yield chunk, True


def _too_many_lines() -> Problem:
    detail = (
        f"A batch has at most {MAX_LINES} jobs. The first {MAX_LINES} were handled, and the batch "
        "is still receiving. Send the same lines again without the rest, and those as a new batch."
    )
    return Problem("too_many_jobs", 413, detail)


def _another_batch() -> Problem:
    detail = (
        "This Idempotency-Key was used for a batch with other items. Send a new key, or the same "
        "items as the first time."
    )
    return Problem("idempotency_key_reused", 422, detail)


def _empty() -> Problem:
    return Problem("empty_batch", 400, "Send at least one job.")


def _accepted(receiver: Receiver) -> Response:
    batch = receiver.batch
    headers = {"Location": f"/batches/{batch.pk}"}
    if batch.state != State.FINISHED:
        headers["Retry-After"] = str(receiver.retry_seconds())
    if receiver.was_sealed:
        headers["Idempotency-Replayed"] = "true"
    answer = {
        "batch_id": batch.pk,
        "state": batch.state,
        "received": receiver.received,
        "accepted": receiver.received - receiver.refused,
        "refused": receiver.refused,
        "refusals": [refusals.shown(each) for each in receiver.refusals],
    }
    return Response(answer, 202, headers=headers)
