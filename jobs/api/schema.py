"""The OpenAPI description of each operation: its answers, errors and headers."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from jobs.api.serializers import (
    JobAccepted,
    JobInput,
    JobPage,
    JobShown,
    ListQuery,
    ProblemShown,
    VendorPage,
)

View = TypeVar("View", bound=Callable[..., Any])

PROBLEMS = {
    400: "The input is not valid. `code` and `errors` say why. "
    "bad_request: the Host header is not in ALLOWED_HOSTS",
    404: "not_found",
    409: "The job's status does not allow this. `code` says why",
    413: "too_large",
    415: "unsupported_media_type or unsupported_encoding",
    429: "queue_full",
    500: "server_error",
    503: "overloaded or store_unavailable",
}


class Operation(Protocol):
    """A decorator that keeps the type of its view."""

    def __call__(self, view: View, /) -> View: ...


class OpenInput(OpenApiSerializerExtension):  # type: ignore[misc]  # the library has no types
    """A posted job may have additional fields."""

    target_class = JobInput

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        mapped = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**mapped, "additionalProperties": True}


def _answers(status: int, answer: Any, description: str, *problems: int) -> dict[Any, Any]:
    errors = {
        (problem, "application/problem+json"): OpenApiResponse(ProblemShown, PROBLEMS[problem])
        for problem in (*problems, 500, 503)
    }
    return {status: OpenApiResponse(answer, description), **errors}


def _header(name: str, statuses: list[int], description: str, kind: type) -> OpenApiParameter:
    where = OpenApiParameter.HEADER
    return OpenApiParameter(name, kind, where, description=description, response=statuses)


REQUEST_ID = OpenApiParameter(
    "request_id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH
)
LOCATION = _header("Location", [202], "The path of the job.", str)
POLL_AFTER = _header(
    "Retry-After", [200], "Seconds to wait before polling again. Absent if the job is final.", int
)
POLL_OR_RETRY_AFTER = _header(
    "Retry-After", [202, 429, 503], "Seconds to wait before polling, or before posting again.", int
)
RETRY_AFTER = _header("Retry-After", [503], "Seconds to wait before the next request.", int)

create: Operation = extend_schema(
    operation_id="post_job",
    summary="Post a job",
    description="The job is stored before the answer and survives crashes. "
    "Poll its URL for the result.",
    request=JobInput,
    parameters=[LOCATION, POLL_OR_RETRY_AFTER],
    responses=_answers(202, JobAccepted, "The job is queued", 400, 413, 415, 429),
)
retrieve: Operation = extend_schema(
    operation_id="show_job",
    summary="Show a job",
    description="Cheap: it reads one stored row. "
    "Poll at the interval of Retry-After until the status is final.",
    parameters=[REQUEST_ID, POLL_AFTER, RETRY_AFTER],
    responses=_answers(200, JobShown, "The job", 404),
)
list_: Operation = extend_schema(
    operation_id="list_jobs",
    summary="List jobs, newest first",
    description="Follow `next` for older jobs. No job is skipped or repeated while others arrive.",
    parameters=[ListQuery, RETRY_AFTER],
    responses=_answers(200, JobPage, "A page of jobs", 400),
)
cancel: Operation = extend_schema(
    operation_id="cancel_job",
    summary="Cancel a job",
    description="A job can be cancelled while it is queued or waits for its callback, "
    "but not while its vendor is being called.",
    request=None,
    parameters=[REQUEST_ID, RETRY_AFTER],
    responses=_answers(200, JobShown, "The cancelled job", 404, 409),
)
retry: Operation = extend_schema(
    operation_id="retry_job",
    summary="Retry a job",
    description="Queues a failed or cancelled job for a new run, with max_attempts afresh.",
    request=None,
    parameters=[REQUEST_ID, POLL_AFTER, RETRY_AFTER],
    responses=_answers(200, JobShown, "The job, queued again", 404, 409),
)
list_vendors: Operation = extend_schema(
    operation_id="list_vendors",
    summary="List vendors",
    description="The vendors that the API key may be used for, by slug.",
    responses=_answers(200, VendorPage, "The vendors"),
)
