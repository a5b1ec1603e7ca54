"""Every error is answered as application/problem+json (RFC 9457), with a stable code and a sentence
that says what to do.
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
RETRY_STORE_SECONDS = 5
RETRY_OVERLOAD_SECONDS = 2
MAX_ERRORS = 20

Errors = Sequence[Mapping[str, str]]


class Problem(Exception):  # noqa: N818 - it names an answer
    """An answer that is an error: raised inside the API, or answered by a plain view with
    `response()`.

    `errors` names the fields at fault: {"pointer" or "parameter", "code", "detail"} each.
    """

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
        title = self.code.replace("_", " ").capitalize()
        return response(
            self.code, title, self.status, self.detail, self.errors, headers=self.headers
        )


def response(
    code: str,
    title: str,
    status: int,
    detail: str,
    errors: Errors | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return the answer for views that are none of REST framework's."""
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + code,
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if errors:
        body["errors"] = list(errors)
    return JsonResponse(
        body, status=status, content_type="application/problem+json", headers=dict(headers or {})
    )


def not_valid(errors: Errors) -> Problem:
    """Return the problem of input that does not validate; one error alone gives it its own code and
    sentence.
    """
    if len(errors) == 1:
        return Problem(errors[0]["code"], 400, errors[0]["detail"], errors=errors)
    shown = errors[:MAX_ERRORS]
    which = "each" if shown == errors else f"the first {MAX_ERRORS}"
    return Problem(
        "not_valid",
        400,
        f"{len(errors)} things are not valid; `errors` has a sentence for {which}.",
        errors=shown,
    )


def store_unavailable(error: BaseException | None) -> Problem:
    # The one fault that no client can wait out; others are for the log alone.
    is_gone = explain(error) == FILE_GONE
    detail = FILE_GONE if is_gone else "The store does not answer; try again in a few seconds."
    return Problem(
        "store_unavailable", 503, detail, headers={"Retry-After": str(RETRY_STORE_SECONDS)}
    )


def overloaded() -> Problem:
    detail = "There are more requests than can be answered in time, and nothing was done for this one; try again later."
    return Problem("overloaded", 503, detail, headers={"Retry-After": str(RETRY_OVERLOAD_SECONDS)})


def queue_full(retry_seconds: int) -> Problem:
    detail = "As many jobs wait for this vendor as are let in; try again when some are done."
    return Problem("queue_full", 429, detail, headers={"Retry-After": str(retry_seconds)})


def of(error: BaseException | None) -> Problem | None:
    """Return the problem that an exception stands for, or None for a fault of our own."""
    match error:
        case Problem():
            return error
        case APIException():
            return _of_framework(error)
        case Http404():
            return Problem("not_found", 404, "There is nothing at this address.")
        case PermissionDenied():
            return Problem("permission_denied", 403, "This is not allowed.")
        case SuspiciousOperation():
            return Problem(
                "bad_request",
                400,
                "The request can't be accepted: its host, its size or its form is not allowed.",
            )
    return store_unavailable(error) if is_store_failure(error) else None


def is_store_failure(error: BaseException | None) -> bool:
    """Whether the store, and not our use of it, is at fault."""
    # The MongoDB backend wraps what pymongo raises as a plain DatabaseError, and what a cursor
    # raises not at all.
    if type(error) in (DatabaseError, OperationalError, InterfaceError) or isinstance(
        error, PyMongoError
    ):
        return True
    # What is not supported is our mistake, unless it is the whole server.
    return isinstance(error, NotSupportedError) and bool(explain(error))


def _of_framework(error: APIException) -> Problem:
    if isinstance(error.detail, ErrorDetail):
        return Problem(
            error.detail.code or error.default_code, error.status_code, str(error.detail)
        )
    return Problem("not_valid", error.status_code, HTTPStatus(error.status_code).description)


def handle(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's exception handler; None lets a fault of our own go on to `server_error`."""
    if is_store_failure(error):
        # Not the store's own words, which may repeat a whole row.
        log.error(
            "The store does not answer. %s",
            explain(error) or f"{type(error.__cause__ or error).__name__}.",
        )
    problem = of(error)
    if problem is None:
        return None
    response = problem.response()
    # Django would log a second line for the same event.
    response._has_been_logged = is_store_failure(error)  # type: ignore[attr-defined]
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
    """Django's CSRF_FAILURE_VIEW, for forms that are not the console's own, or too old."""
    return forbidden(request)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponseBase:
    """Django's handler404."""
    if _in_console(request):
        return defaults.page_not_found(request, exception or Http404())
    return Problem("not_found", 404, "There is nothing at this address.").response()


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Django's handler500, called while the exception is being handled."""
    if _in_console(request):
        return defaults.server_error(request)
    unexpected = Problem(
        "server_error", 500, "Something went wrong here, and was logged. Try again later."
    )
    return (of(sys.exc_info()[1]) or unexpected).response()


def _in_console(request: HttpRequest) -> bool:
    return f"{request.path}/".startswith("/admin/")
