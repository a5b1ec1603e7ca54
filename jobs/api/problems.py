"""Errors as application/problem+json (RFC 9457), with a stable code and a sentence that says what
to do.
"""

import logging
import sys
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DatabaseError, InterfaceError, NotSupportedError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views import defaults
from pymongo.errors import PyMongoError
from rest_framework.exceptions import APIException, ErrorDetail

from jobs.storage.errors import FILE_GONE, explain

log = logging.getLogger(__name__)

TYPE_PREFIX = "urn:enrichlabs:problem:"
STORE_RETRY_SECONDS = 5
OVERLOAD_RETRY_SECONDS = 2
MAX_ERRORS = 20

Errors = Sequence[Mapping[str, str]]


class Problem(Exception):  # noqa: N818 - the name of RFC 9457
    """An error answer: raised inside the API, or returned by a plain view with `response()`.

    `errors` lists the invalid fields, each as {"pointer" or "parameter", "code", "detail"}.
    """

    is_logged = False  # whether its log line was written, so that Django writes none

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        *,
        errors: Errors = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}

    def response(self) -> HttpResponse:
        body: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.errors:
            body["errors"] = list(self.errors)
        content_type, headers = "application/problem+json", dict(self.headers)
        return JsonResponse(body, status=self.status, content_type=content_type, headers=headers)


def not_valid(errors: Errors) -> Problem:
    """Return the problem of invalid input. A single error gives it its own code and sentence."""
    if len(errors) == 1:
        return Problem(errors[0]["code"], 400, errors[0]["detail"], errors=errors)
    shown = errors[:MAX_ERRORS]
    which = "each of them" if shown == errors else f"the first {MAX_ERRORS}"
    detail = f"{len(errors)} values are not valid. `errors` describes {which}."
    return Problem("not_valid", 400, detail, errors=shown)


def _retry_after(seconds: int, code: str, status: int, reason: str) -> Problem:
    detail = f"{reason} Retry after {seconds} s."
    return Problem(code, status, detail, headers={"Retry-After": str(seconds)})


def store_unavailable(error: BaseException | None) -> Problem:
    # The one fault that clients cannot wait out. The log has the others.
    if explain(error) == FILE_GONE:
        headers = {"Retry-After": str(STORE_RETRY_SECONDS)}
        return Problem("store_unavailable", 503, FILE_GONE, headers=headers)
    reason = "The store does not answer."
    return _retry_after(STORE_RETRY_SECONDS, "store_unavailable", 503, reason)


def overloaded(
    reason: str = "The service is overloaded. This request was not processed.",
) -> Problem:
    return _retry_after(OVERLOAD_RETRY_SECONDS, "overloaded", 503, reason)


def queue_full(retry_seconds: int, queue: str = "This vendor's queue") -> Problem:
    return _retry_after(retry_seconds, "queue_full", 429, f"{queue} is full.")


def rate_limited(limit: str, seconds: int, headers: Mapping[str, str]) -> Problem:
    """Return the problem of a client that has reached this limit, such as 5 requests per second."""
    detail = f"This client's limit of {limit} is reached. Retry after {seconds} s."
    retry = {"Retry-After": str(seconds)}
    return Problem("rate_limited", 429, detail, headers={**headers, **retry})


def of(error: BaseException | None) -> Problem | None:
    """Return the problem for an exception, or None for an error in our own code."""
    match error:
        case Problem():
            return error
        case APIException():
            return _of_framework(error)
        case Http404():
            return Problem("not_found", 404, "There is nothing at this URL.")
        case PermissionDenied():
            return Problem("permission_denied", 403, "This is not allowed.")
        case SuspiciousOperation():
            detail = (
                "The request's host, size or format is not allowed. If the host is right, ask the "
                "operator to add it to ALLOWED_HOSTS."
            )
            return Problem("bad_request", 400, detail)
    return store_unavailable(error) if is_store_failure(error) else None


def is_store_failure(error: BaseException | None) -> bool:
    """Whether the store is at fault, rather than our use of it."""
    # The MongoDB backend wraps pymongo's errors in a plain DatabaseError, except those of cursors.
    if type(error) in (DatabaseError, OperationalError, InterfaceError):
        return True
    if isinstance(error, PyMongoError):
        return True
    # An unsupported operation is our mistake, unless the whole server is unsupported.
    return isinstance(error, NotSupportedError) and bool(explain(error))


def _of_framework(error: APIException) -> Problem:
    headers = {}
    if challenge := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if seconds := getattr(error, "wait", None):
        headers["Retry-After"] = str(seconds)
    code, detail = "not_valid", HTTPStatus(error.status_code).description
    if isinstance(error.detail, ErrorDetail):
        code, detail = error.detail.code or error.default_code, str(error.detail)
    return Problem(code, error.status_code, detail, headers=headers)


def handle(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's exception handler; None leaves our own errors to `server_error`."""
    if is_store_failure(error):
        # Not the store's own message, which may repeat a whole row.
        why = explain(error) or f"{type(error.__cause__ or error).__name__}."
        log.error("The store does not answer. %s", why)
    problem = of(error)
    if problem is None:
        return None
    response = problem.response()
    # Otherwise Django would log the same event again.
    is_logged = problem.is_logged or is_store_failure(error)
    response._has_been_logged = is_logged  # type: ignore[attr-defined]
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Django's handler400."""
    problem = None if _in_console(request) else of(exception)
    return problem.response() if problem else defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """Django's handler403."""
    if _in_console(request):
        return defaults.permission_denied(request, exception or PermissionDenied())
    return Problem("permission_denied", 403, "This is not allowed.").response()


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """Django's CSRF_FAILURE_VIEW, for forms from other sites or with an expired token."""
    return forbidden(request)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """Django's handler404."""
    if _in_console(request):
        return defaults.page_not_found(request, exception or Http404())
    return Problem("not_found", 404, "There is nothing at this URL.").response()


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500, called while the exception is being handled."""
    if _in_console(request):
        return defaults.server_error(request)
    detail = "An unexpected error occurred and was logged. Tell the operator."
    unexpected = Problem("server_error", 500, detail)
    return (of(sys.exc_info()[1]) or unexpected).response()


def _in_console(request: HttpRequest) -> bool:
    return f"{request.path}/".startswith("/admin/")
