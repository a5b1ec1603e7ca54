"""The door for vendors' callbacks (docs/webhooks.md says what each answer means)."""

import logging
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from jobs import bodies, deliveries, tokens
from jobs.models import Job, Verdict
from jobs.problems import Problem, handle
from jobs.store import STORE_ERRORS
from vendors.catalogue import catalogue
from vendors.models import Vendor
from webhooks import signatures
from webhooks.signatures import RefusedError

log = logging.getLogger(__name__)

MAX_LOGGED_SLUG = 50  # as long as a slug can be


@csrf_exempt
def receive(request: HttpRequest, slug: str, request_id: UUID) -> HttpResponse:
    """Take a callback, or say why not. A 2xx tells the vendor that it is stored and need not be sent again."""
    try:
        return _take(request, slug, str(request_id))
    except RefusedError as refused:
        # The same words whatever was wrong: a forger learns nothing.
        detail = "The token or the signature of this callback is missing, wrong or out of date."
        reason, problem = refused.code, Problem("unauthorized", 401, detail)
    except Problem as found:
        reason, problem = found.code, found
    except STORE_ERRORS as error:
        # Handled here, for Django would log the error's own words, which may hold the callback.
        unavailable = handle(error, {})
        if unavailable is None:
            raise
        return unavailable
    log.warning("Refused a callback of vendor %r for job %s: %s", slug[:MAX_LOGGED_SLUG], request_id, reason)
    response = problem.response()
    response._has_been_logged = True  # type: ignore[attr-defined]  # else Django adds a second line
    return response


def _take(request: HttpRequest, slug: str, job_id: str) -> HttpResponse:
    """Size, vendor, signature and timestamp, token; then the callback is stored, and only then acts on its job."""
    now = timezone.now()
    if request.method != "POST":
        raise Problem("method_not_allowed", 405, "Post the callback.", headers={"Allow": "POST"})
    body = bodies.read(request, settings.CALLBACK_MAX_BYTES)
    vendor = catalogue.get(slug)
    if vendor is None:
        raise Problem("unknown_vendor", 404, "There is no vendor of this name.")
    webhook_id = signatures.verify(_secrets(vendor), request.headers, body, now) if vendor.webhook_secret_env else ""
    tried = tokens.read(request.GET.get("token", ""), slug, job_id)
    if tried is None and not (webhook_id and _is_unknown(job_id)):
        raise RefusedError("token_wrong" if "token" in request.GET else "token_missing")
    delivery = deliveries.store(vendor, job_id, tried, webhook_id=webhook_id, body=body, now=now)
    return _answer(deliveries.apply(delivery, vendor, now))


def _secrets(vendor: Vendor) -> list[str]:
    secrets = vendor.webhook_secrets
    if not secrets:
        log.error("Callbacks of vendor %s are refused: the variable %s is unset or empty", vendor, vendor.webhook_secret_env)
    return secrets


def _is_unknown(job_id: str) -> bool:
    return not Job.objects.filter(pk=job_id).exists()


def _answer(verdict: Verdict | None) -> HttpResponse:
    if verdict == Verdict.REFUSED:
        raise Problem("not_an_object", 400, "Send a JSON object; this callback changed nothing, and its job goes on waiting.")
    return JsonResponse({"status": verdict or "stored"}, status=202 if verdict == Verdict.UNMATCHED else 200)
