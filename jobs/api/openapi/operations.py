"""The OpenAPI description of each operation: its scopes, parameters, answers and problems."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from clients.scopes import Scope
from jobs.api.input.posted import JobInput
from jobs.api.openapi.shapes import ProblemShown, VendorPage
from jobs.api.serializers import JobAccepted, JobPage, JobShown, ListQuery

View = TypeVar("View", bound=Callable[..., Any])

# The codes of problems that each operation can have (jobs/api/openapi/problem_types.py).
EVERYWHERE = (
    *("bad_request", "unauthorized", "missing_scope", "cross_site", "method_not_allowed"),
    *("rate_limited", "server_error", "overloaded", "store_unavailable"),
)
OF_FIELDS = ("required", "null", "blank", "invalid", "max_length", "null_characters_not_allowed")
OF_BODY = (
    *("invalid_json", "not_an_object", "body_cut_short", "too_large"),
    *("unsupported_media_type", "unsupported_encoding"),
)
OF_INPUT = (
    *OF_FIELDS,
    *("not_valid", "unknown_vendor", "vendor_disabled", "unknown_option", "direction_control"),
    *("not_a_dict", "min_value", "max_value", "overflow", "bad_key", "expires_too_early"),
)
OF_QUERY = (
    *("not_valid", "unknown_parameter", "repeated_parameter", "bad_cursor", "invalid_choice"),
    *("min_value", "max_value", "overflow", "max_string_length"),
    *("blank", "invalid", "null_characters_not_allowed"),
)
PROBLEMS: dict[str, tuple[str, ...]] = {}


class Operation(Protocol):
    """A decorator that keeps the type of its view."""

    def __call__(self, view: View, /) -> View: ...


class BearerKey(OpenApiAuthenticationExtension):  # type: ignore[misc]  # the library has no types
    target_class = "jobs.api.access.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key: `Authorization: Bearer elk_...`. Operators create keys in "
            "the console, or with `manage.py api_key create`. A service on trial may have none, "
            "and take requests without a key (ALLOW_ANONYMOUS).",
        }


class OpenInput(OpenApiSerializerExtension):  # type: ignore[misc]  # the library has no types
    """A posted job may have additional fields."""

    target_class = JobInput
    match_subclasses = True

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        mapped = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**mapped, "additionalProperties": True}


def operation(
    operation_id: str,
    description: str,
    *,
    scopes: tuple[Scope, ...],
    problems: tuple[str, ...] = (),
    **options: Any,
) -> Operation:
    PROBLEMS[operation_id] = (*EVERYWHERE, *problems)
    needed = " or ".join(f"`{scope}`" for scope in scopes)
    described: Operation = extend_schema(
        operation_id=operation_id,
        description=f"{description}\n\nScope: {needed}.",
        **options,
    )
    return described


def answers(status: int, answer: Any, description: str) -> dict[Any, Any]:
    # The hook `complete` adds the problems. One stands here, so that their schema is known.
    problem = OpenApiResponse(ProblemShown)
    return {
        status: OpenApiResponse(answer, description),
        (500, "application/problem+json"): problem,
    }


REQUEST_ID = OpenApiParameter(
    "request_id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {
        "type": "string",
        "pattern": r'^("([ !#-\[\]-~]|\\["\\]){1,255}"|[!#-+\--~]([ -+\--~]{0,253}[!-+\--~])?)$',
    },
    OpenApiParameter.HEADER,
    description="Makes a repeated request safe: the same key with the same body gets the answer of "
    "the first one, and no second job. 1 to 255 printable ASCII characters, as a quoted string "
    "(RFC 9651) or, without a comma, bare.",
)

PREFER = OpenApiParameter(
    "Prefer",
    str,
    OpenApiParameter.HEADER,
    description="`wait=10` (RFC 7240): wait for up to 10 s, and for 30 s at most, until it is "
    "final. Then the answer has `Preference-Applied`. If it is not final by then, or too many "
    "requests wait already, the answer is the same as without this header. Anything else in the "
    "header is ignored.",
)

create = operation(
    "post_job",
    "The job is stored before the answer and survives crashes. Poll its URL for the result. To "
    "have the result in this answer, send `Prefer: wait`, with a key that also has `jobs:read`.",
    summary="Post a job",
    scopes=(Scope.SUBMIT,),
    problems=(
        *OF_BODY,
        *OF_INPUT,
        *("vendor_not_allowed", "bad_idempotency_key", "idempotency_key_reused", "queue_full"),
    ),
    request=JobInput,
    parameters=[IDEMPOTENCY_KEY, PREFER],
    responses={
        **answers(202, JobAccepted, "The job is stored"),
        **answers(200, JobShown, "The job, which became final within the time of `Prefer: wait`"),
    },
)
retrieve = operation(
    "show_job",
    "Cheap: it reads one stored row. Poll at the interval of Retry-After until the status is "
    "final, or send `Prefer: wait`.",
    summary="Show a job",
    scopes=(Scope.READ,),
    problems=("not_found",),
    parameters=[REQUEST_ID, PREFER],
    responses=answers(200, JobShown, "The job"),
)
list_ = operation(
    "list_jobs",
    "Follow `next` for older jobs. No job is skipped or repeated while others arrive.",
    summary="List jobs, newest first",
    scopes=(Scope.READ,),
    problems=OF_QUERY,
    parameters=[ListQuery],
    responses=answers(200, JobPage, "A page of jobs"),
)
cancel = operation(
    "cancel_job",
    "A job can be cancelled while it is queued or waits for its callback, but not while its vendor "
    "is being called.",
    summary="Cancel a job",
    scopes=(Scope.MANAGE,),
    problems=("not_found", "call_under_way", "already_final", "moved_on"),
    request=None,
    parameters=[REQUEST_ID],
    responses=answers(200, JobShown, "The cancelled job"),
)
retry = operation(
    "retry_job",
    "Queues a failed or cancelled job for a new run, with max_attempts afresh.",
    summary="Retry a job",
    scopes=(Scope.MANAGE,),
    problems=("not_found", "not_final", "already_complete", "vendor_unknown", "moved_on"),
    request=None,
    parameters=[REQUEST_ID],
    responses=answers(200, JobShown, "The job, queued again"),
)
list_vendors = operation(
    "list_vendors",
    "The vendors that the API key may be used for, by slug, and the fields that each requires.",
    summary="List vendors",
    scopes=(Scope.SUBMIT, Scope.READ),
    responses=answers(200, VendorPage, "The vendors"),
)
