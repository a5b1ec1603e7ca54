"""The door for vendors' callbacks (docs/webhooks.md says what each answer means)."""

import logging
from http import HTTPStatus
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from jobs.api import bodies
from jobs.api.problems import Problem, handle
from jobs.callbacks import inbox, refusals, tokens
from jobs.models import Job, Verdict
from jobs.storage.store import STORE_ERRORS
from vendors.catalogue import catalogue
from vendors.models import Vendor
from webhooks import signatures
from webhooks.signatures import RefusedError

log = logging.getLogger(__name__)

MAX_SLUG_LOGGED = 50  # a longer one is no vendor's
RETRY_SECONDS = 60


@csrf_exempt
def receive(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """Take a callback, or say why not. A 2xx tells the vendor that it need not be sent again."""
    try:
        return _take(request, slug, str(request_id))
    except RefusedError as refused:
        # The same words whatever was wrong: a forger learns nothing.
        detail = "The token or the signature of this callback is missing, wrong or out of date."
        reason, problem = refused.code, Problem("unauthorized", 401, detail)
    except inbox.NotAnObjectError as error:
        detail = f"{error} Send a JSON object; this callback changed nothing, and its job goes on waiting."
        reason, problem = (
            f"not_an_object ({str(error).rstrip('.')})",
            Problem("not_an_object", 400, detail),
        )
    except Problem as found:
        reason, problem = found.code, found
    except STORE_ERRORS as error:
        # Handled here, for Django would log the error's own words, which may hold the callback.
        unavailable = handle(error, {})
        if unavailable is None:
            raise
        return unavailable
    return _refuse(problem, reason, request, slug, str(request_id))


def _take(request: HttpRequest, slug: str, job_id: str) -> HttpResponse:
    """Size, vendor, signature and timestamp, token; then the callback is stored, and only then acts
    on its job.
    """
    now = timezone.now()
    if request.method != "POST":
        raise Problem("method_not_allowed", 405, "Post the callback.", headers={"Allow": "POST"})
    body = bodies.read(request, settings.CALLBACK_MAX_BYTES)
    vendor = catalogue.get(slug)
    if vendor is None:
        raise Problem("unknown_vendor", 404, "There is no vendor of this name.")
    is_signed = bool(vendor.webhook_secret_env)
    webhook_id = (
        signatures.verify(vendor.webhook_secrets, request.headers, body, now) if is_signed else ""
    )
    tried = tokens.read(request.GET.get("token", ""), slug, job_id)
    if tried is None and not (webhook_id and _is_unknown(vendor, job_id)):
        raise RefusedError("token_wrong" if "token" in request.GET else "token_missing")
    try:
        verdict = inbox.receive(vendor, job_id, tried, webhook_id=webhook_id, body=body, now=now)
    except inbox.TooManyError:
        detail = "There are too many callbacks for this job that can't be applied yet. Send this one again later."
        return Problem(
            "too_many_callbacks", 429, detail, headers={"Retry-After": str(RETRY_SECONDS)}
        ).response()
    return JsonResponse(
        {"status": verdict or "stored"}, status=202 if verdict == Verdict.UNMATCHED else 200
    )


def _is_unknown(vendor: Vendor, job_id: str) -> bool:
    """Whether the vendor has no such job. It learns nothing about those of other vendors."""
    return not Job.objects.filter(pk=job_id, vendor=vendor.slug).exists()


def _refuse(
    problem: Problem, reason: str, request: HttpRequest, slug: str, job_id: str
) -> HttpResponse:
    vendor = catalogue.get(slug) if reason in ("secret_unset", "secret_unusable") else None
    why = f" ({vendor.webhook_secret_fault})" if vendor else ""
    log.warning(
        "Refused a callback of vendor %r for job %s: %s%s",
        slug[:MAX_SLUG_LOGGED],
        job_id,
        reason,
        why,
    )
    response = problem.response()
    response._has_been_logged = True  # type: ignore[attr-defined]  # else Django adds a second line
    if problem.status not in (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_FOUND):
        _count_when_sent(response, request, slug, job_id, reason)
    return response


def _count_when_sent(
    response: HttpResponse, request: HttpRequest, slug: str, job_id: str, reason: str
) -> None:
    """Count the refusal on its job once the answer is on its way: how long that takes tells nothing
    about the job.
    """
    now, close = timezone.now(), response.close

    def count_and_close() -> None:
        try:
            tried = tokens.read(request.GET.get("token", ""), slug, job_id)
            length = request.META.get("CONTENT_LENGTH") or ""
            size, run = int(length) if length.isdecimal() else 0, tried.run if tried else None
            refusals.note(slug, job_id, reason, body_bytes=size, now=now, run=run)
        except STORE_ERRORS as error:
            log.warning("A refused callback was not counted on its job: %s", type(error).__name__)
        finally:
            close()

    response.close = count_and_close  # type: ignore[method-assign]
