"""Two mock vendors for development and tests: `sync` answers at once, `async` by callback.

Knobs in the URL set their behaviour.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    JsonResponse,
    StreamingHttpResponse,
)
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST

from vendors.mock.callbacks import ScheduledCallback, key_of, scheduler
from vendors.mock.knobs import Knobs, read_knobs
from vendors.mock.ledger import ledger, rates

log = logging.getLogger(__name__)

DRIP_SECONDS = 0.1


class RefusalError(Exception):
    """What the vendor answers instead of doing the work."""

    def __init__(self, status: int, sentence: str, retry_after: str = "") -> None:
        super().__init__(sentence)
        self.answer = JsonResponse({"error": sentence}, status=status)
        if retry_after:
            self.answer["Retry-After"] = retry_after


@csrf_exempt
@require_POST
def sync_vendor(request: HttpRequest) -> HttpResponseBase:
    """Answer with the result at once."""
    return _answer(request, "sync", _work_sync, time.time())


@csrf_exempt
@require_POST
def async_vendor(request: HttpRequest) -> HttpResponseBase:
    """Accept, and post the result to the body's callback_url later."""
    return _answer(request, "async", _work_async, time.time())


@csrf_exempt
@require_http_methods(["GET", "DELETE"])
def show_ledger(request: HttpRequest) -> HttpResponse:
    """List the arrivals after the one with the index `since`. DELETE deletes all of them."""
    if request.method == "DELETE":
        ledger.clear()
        return HttpResponse(status=204)
    since = request.GET.get("since", "0")
    if not (since.isascii() and since.isdigit() and len(since) < 20):
        return JsonResponse({"error": "since must be the index of an arrival."}, status=400)
    return JsonResponse({"arrivals": ledger.since(int(since))})


def _answer(
    request: HttpRequest,
    vendor: str,
    work: Callable[[dict[str, Any], Knobs], JsonResponse],
    at: float,
) -> HttpResponseBase:
    arrival = ledger.add(vendor, at, request.META.get("HTTP_IDEMPOTENCY_KEY", ""))
    try:
        knobs = _knobs(request)
        _refuse(request, knobs)
        answer: HttpResponseBase = _spoil(work(_input(request), knobs), knobs)
    except RefusalError as refusal:
        answer = refusal.answer
    arrival["status"] = answer.status_code
    if answer.status_code >= 500:
        # Otherwise Django would log it as an error of EnrichLabs.
        answer._has_been_logged = True  # type: ignore[attr-defined]
        log.info("The mock vendor %s answered %d, as configured", vendor, answer.status_code)
    return answer


def _refuse(request: HttpRequest, knobs: Knobs) -> None:
    """Raise the refusal that the knobs ask for.

    The rate is checked before the latency, as a real vendor's rate limiter would.
    """
    if knobs.rate and not rates.accept(request.get_full_path(), knobs.rate):
        sentence = f"More than {knobs.rate} calls in a second."
        raise RefusalError(429, sentence, knobs.retry_after or "1")
    if knobs.latency:
        time.sleep(knobs.latency)
    if knobs.status and not 200 <= knobs.status <= 299:
        raise RefusalError(
            knobs.status, f"Status {knobs.status}, as configured.", knobs.retry_after
        )
    if knobs.luck.random() < knobs.error_rate:
        raise RefusalError(500, "An error at random, as configured.", knobs.retry_after)


def _work_sync(given: dict[str, Any], knobs: Knobs) -> JsonResponse:
    result = {"name": given["name"], "info": "Processed sync", "ssn": "123-45-6789"}
    return JsonResponse(result, status=knobs.status or 200)


def _work_async(given: dict[str, Any], knobs: Knobs) -> JsonResponse:
    result = {"name": given["name"], "info": "Processed async", "ssn": "999-99-9999"}
    callback = ScheduledCallback(_callback_url(given), json.dumps(result).encode(), _key(knobs))
    if knobs.luck.random() >= knobs.lost:
        for _ in range(1 + knobs.duplicates):
            scheduler.post(callback, knobs.callback_delay)
    return JsonResponse({"accepted": True}, status=knobs.status or 202)


def _knobs(request: HttpRequest) -> Knobs:
    try:
        return read_knobs(request.META["QUERY_STRING"])
    except ValueError as error:
        raise RefusalError(400, str(error)) from None


def _input(request: HttpRequest) -> dict[str, Any]:
    try:
        given = json.loads(request.body)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or "name" not in given:
        raise RefusalError(400, "Send a JSON object with a name.")
    return given


def _callback_url(given: dict[str, Any]) -> str:
    url, prefix = given.get("callback_url"), f"{settings.PUBLIC_URL}/"
    # Otherwise any caller could have this vendor post to what only this machine can reach.
    if not (isinstance(url, str) and url.startswith(prefix)):
        raise RefusalError(400, f"Send a callback_url that starts with PUBLIC_URL, {prefix}.")
    return url


def _key(knobs: Knobs) -> bytes:
    name = knobs.secret_env
    if not name:
        return b""
    if name in settings.SETTINGS_VARIABLES:
        raise RefusalError(400, f"{name} is a setting. Name another variable.")
    try:
        key = key_of(os.environ.get(name, "").split(",")[0])
    except ValueError:
        key = b""
    if not key:
        example = "whsec_MfKQ9r8GKYqrTwjU"
        raise RefusalError(
            400, f"The variable {name} must hold a base64 secret, such as {example}."
        )
    return key


def _spoil(answer: JsonResponse, knobs: Knobs) -> HttpResponseBase:
    """Replace the body as the knob `body` asks. The status stays."""
    if answer.status_code == 204:
        return HttpResponse(status=204)
    match knobs.body:
        case "malformed":
            answer.content = answer.content[:-1]
        case "html":
            return HttpResponse("<html><body>Back soon.</body></html>", status=answer.status_code)
        case "endless":
            return _stream(_endless(), answer.status_code)
        case "drip":
            return _stream(_drip(answer.content), answer.status_code)
    return answer


def _stream(pieces: Iterator[bytes], status: int) -> StreamingHttpResponse:
    return StreamingHttpResponse(pieces, status=status, content_type="application/json")


def _endless() -> Iterator[bytes]:
    yield b'{"name": "'
    while True:
        yield b"x" * 65536


def _drip(body: bytes) -> Iterator[bytes]:
    for byte in body:
        time.sleep(DRIP_SECONDS)
        yield bytes([byte])
