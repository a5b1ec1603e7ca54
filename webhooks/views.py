"""The endpoint for vendors' callbacks (docs/webhooks.md explains each response)."""

import logging
from http import HTTPStatus
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from jobs.api.input import bodies
from jobs.api.problems import Problem, handle
from jobs.callbacks import receive, refusals, tokens
from jobs.models import Job, Verdict
from jobs.queue.clock import redis_clock
from jobs.storage.store import STORE_ERRORS
from vendors.catalogue import catalogue
from vendors.models import Vendor
from webhooks import signatures
from webhooks.signatures import RefusedError

log = logging.getLogger(__name__)

MAX_LOGGED_SLUG = 50
RETRY_AFTER_SECONDS = 60


@csrf_exempt
def callback(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """Receive a callback. A 2xx response tells the vendor not to send it again."""
    job_id = str(request_id)
    try:
        return _receive(request, slug, job_id)
    except RefusedError as refused:
        # The same text for every reason, so that a forger learns nothing.
        detail = "The callback's token or signature is missing, wrong or expired."
        reason, problem = refused.code, Problem("unauthorized", 401, detail)
    except receive.NotAnObjectError as error:
        detail = f"{error} Send a JSON object. The callback was not stored; its job still waits."
        reason = f"not_an_object ({str(error).rstrip('.')})"
        problem = Problem("not_an_object", 400, detail)
    except Problem as found:
        reason, problem = found.code, found
    except STORE_ERRORS as error:
        # Django would log the error's message, which may quote the callback.
        unavailable = handle(error, {})
        if unavailable is None:
            raise
        return unavailable
    return _refuse(problem, reason, request, slug, job_id)


def _receive(request: HttpRequest, slug: str, job_id: str) -> HttpResponse:
    """Check size, vendor, signature and timestamp, and token; then store and apply the callback."""
    if request.method != "POST":
        raise Problem("method_not_allowed", 405, "Use POST.", headers={"Allow": "POST"})
    body = bodies.read(request, settings.CALLBACK_MAX_BYTES)
    vendor = catalogue.get(slug)
    if vendor is None:
        raise Problem("unknown_vendor", 404, "There is no vendor with this name.")
    webhook_id = ""
    if vendor.webhook_secret_env:
        webhook_id = signatures.verify(
            vendor.webhook_secrets, request.headers, body, timezone.now()
        )
    ref = tokens.read(request.GET.get("token", ""), slug, job_id)
    if ref is None and not (webhook_id and _is_unknown(vendor, job_id)):
        raise RefusedError("token_wrong" if "token" in request.GET else "token_missing")
    now = redis_clock.now()
    try:
        verdict = receive.receive(vendor, job_id, ref, webhook_id=webhook_id, body=body, now=now)
    except receive.TooManyError:
        return _too_many_callbacks()
    status = HTTPStatus.ACCEPTED if verdict == Verdict.UNMATCHED else HTTPStatus.OK
    return JsonResponse({"status": verdict or "stored"}, status=status)


def _is_unknown(vendor: Vendor, job_id: str) -> bool:
    """Return whether the vendor has no such job. Other vendors' jobs are not revealed to it."""
    return not Job.objects.filter(pk=job_id, vendor=vendor.slug).exists()


def _too_many_callbacks() -> HttpResponse:
    detail = "Too many callbacks for this job wait to be applied. Send this one again later."
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Problem("too_many_callbacks", 429, detail, headers=headers).response()


def _refuse(
    problem: Problem, reason: str, request: HttpRequest, slug: str, job_id: str
) -> HttpResponse:
    vendor = catalogue.get(slug) if reason in ("secret_unset", "secret_unusable") else None
    why = f" ({vendor.webhook_secret_fault})" if vendor else ""
    text = "Refused a callback from vendor %r for job %s: %s%s"
    log.warning(text, slug[:MAX_LOGGED_SLUG], job_id, reason, why)
    response = problem.response()
    response._has_been_logged = True  # type: ignore[attr-defined]  # or Django adds a second line
    if problem.status not in (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_FOUND):
        _count_when_sent(response, request, slug, job_id, reason)
    return response


def _count_when_sent(
    response: HttpResponse, request: HttpRequest, slug: str, job_id: str, reason: str
) -> None:
    """Count the refusal on its job once the response is sent, so that its timing reveals nothing
    about the job.
    """
    now, close = timezone.now(), response.close

    def count_and_close() -> None:
        try:
            ref = tokens.read(request.GET.get("token", ""), slug, job_id)
            length = request.META.get("CONTENT_LENGTH") or ""
            body_bytes, run = int(length) if length.isdecimal() else 0, ref.run if ref else None
            refusals.note(slug, job_id, reason, body_bytes=body_bytes, now=now, run=run)
        except STORE_ERRORS as error:
            text = "The refusal of a callback was not counted on its job: %s"
            log.warning(text, type(error).__name__)
        finally:
            close()

    response.close = count_and_close  # type: ignore[method-assign]
