"""The endpoint for vendors' callbacks (docs/webhooks.md explains each response)."""

import logging
from http import HTTPStatus
from uuid import UUID

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from jobs import tallies
from jobs.api.access.addresses import client_address
from jobs.api.input import bodies
from jobs.api.problems import Problem, handle
from jobs.callbacks import receive, refusals, tokens
from jobs.models import Job, Verdict
from jobs.queue.clock import redis_clock
from jobs.storage.store import STORE_ERRORS
from vendors.catalogue import account_url, catalogue
from vendors.models import Vendor
from webhooks import proofs
from webhooks.proofs import Proven, Request
from webhooks.signatures import RefusedError

log = logging.getLogger(__name__)

MAX_LOGGED_SLUG = 50
FAULTS = ("secret_unset", "secret_unusable", "proof_unreadable")  # of ours, not of the callback
RETRY_AFTER_SECONDS = 60


@csrf_exempt
def callback(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """Receive a callback for one job. A 2xx response tells the vendor not to send it again."""
    return _respond(request, slug, str(request_id))


@csrf_exempt
def account_callback(request: HttpRequest, slug: str) -> HttpResponse:
    """Receive a callback at the URL of the vendor's whole account. The vendor's reference in it
    says which job it is for.
    """
    return _respond(request, slug, "")


def _respond(request: HttpRequest, slug: str, job_id: str) -> HttpResponse:
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
    except receive.NoReferenceError as error:
        detail = (
            f"{error} It must say to which of your pieces of work it belongs. It was not stored."
        )
        reason, problem = "no_reference", Problem("no_reference", 400, detail)
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
    """Check size, vendor, proofs and token; then store and apply the callback."""
    vendor = catalogue.get(slug)
    has_url = job_id or (vendor and account_url(vendor))
    if request.method != "POST":
        if not has_url:
            raise Http404
        raise Problem("method_not_allowed", 405, "Use POST.", headers={"Allow": "POST"})
    body = bodies.read(request, settings.CALLBACK_MAX_BYTES)
    if vendor is None or not has_url:
        sentence = "There is no vendor with this name"
        sentence += "." if job_id else " whose callbacks come to this URL."
        raise Problem("unknown_vendor", 404, sentence)
    source = Request(request.headers, body, client_address(request.META))
    proven = proofs.verify(vendor, source, timezone.now(), has_token=bool(job_id))
    try:
        if job_id:
            verdict = _for_job(request, vendor, job_id, body, proven)
        else:
            verdict = _for_account(request, vendor, body, proven)
    except receive.TooManyError:
        return _too_many_callbacks()
    status = HTTPStatus.ACCEPTED if verdict == Verdict.UNMATCHED else HTTPStatus.OK
    return JsonResponse({"status": verdict or "stored"}, status=status)


def _for_job(
    request: HttpRequest, vendor: Vendor, job_id: str, body: bytes, proven: Proven
) -> Verdict | None:
    ref = tokens.read(request.GET.get("token", ""), vendor.slug, job_id)
    if ref is None and not (proven.has_secret and _is_unknown(vendor, job_id)):
        raise RefusedError("token_wrong" if "token" in request.GET else "token_missing")
    now = redis_clock.now()
    return receive.receive(vendor, job_id, ref, webhook_id=proven.webhook_id, body=body, now=now)


def _for_account(
    request: HttpRequest, vendor: Vendor, body: bytes, proven: Proven
) -> Verdict | None:
    headers = {
        name.lower(): value
        for name, value in request.headers.items()
        if name.lower() not in proven.secret_headers
    }
    now = redis_clock.now()
    try:
        return receive.receive_for_account(
            vendor, headers=headers, webhook_id=proven.webhook_id, body=body, now=now
        )
    except receive.AdapterFailedError as error:
        log.error("vendor %s: %s", vendor, error)
        detail = "The gateway can't read callbacks of this vendor. Send this one again later."
        raise Problem("server_error", 500, detail) from None


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
    vendor = catalogue.get(slug) if reason in FAULTS else None
    fault = (vendor.webhook_secret_fault or vendor.callback_fault) if vendor else ""
    why = f" ({fault})" if fault else ""
    where = f"for job {job_id}" if job_id else "to its account's URL"
    log.warning(
        "Refused a callback from vendor %r %s: %s%s", slug[:MAX_LOGGED_SLUG], where, reason, why
    )
    response = problem.response()
    response._has_been_logged = True  # type: ignore[attr-defined]  # or Django adds a second line
    if problem.status not in (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_FOUND):
        _count_when_sent(response, request, slug, job_id, reason)
    return response


def _count_when_sent(
    response: HttpResponse, request: HttpRequest, slug: str, job_id: str, reason: str
) -> None:
    """Count the refusal on its job, or else for its vendor, once the response is sent, so that its
    timing reveals nothing about the job.
    """
    now, close = timezone.now(), response.close

    def count_and_close() -> None:
        try:
            if not job_id:
                tallies.count("callbacks_refused", slug)
                return
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
