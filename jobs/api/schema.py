"""What the OpenAPI schema says of each operation: its answers, errors and headers."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema

from jobs.api.serializers import Accepted, JobInput, JobPage, JobShown, ListQuery, ProblemShown

View = TypeVar("View", bound=Callable[..., Any])

PROBLEMS = {
    400: "The input is not valid: `code` and `errors` say why. bad_request: the host is not in ALLOWED_HOSTS",
    404: "not_found",
    409: "The job can't be moved: `code` says why",
    413: "too_large",
    415: "unsupported_media_type or unsupported_encoding",
    429: "queue_full",
    500: "server_error",
    503: "overloaded or store_unavailable",
}


class Operation(Protocol):
    """A decorator that leaves the type of its view as it is."""

    def __call__(self, view: View, /) -> View: ...


class OpenInput(OpenApiSerializerExtension):  # type: ignore[misc]  # the library has no types
    """Further fields of a posted job are free."""

    target_class = JobInput

    def map_serializer(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        mapped = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)
        return {**mapped, "additionalProperties": True}


def _answers(status: int, answer: Any, description: str, *problems: int) -> dict[Any, Any]:
    fails = {
        (problem, "application/problem+json"): OpenApiResponse(ProblemShown, PROBLEMS[problem])
        for problem in (*problems, 500, 503)
    }
    return {status: OpenApiResponse(answer, description), **fails}


def _header(
    name: str, statuses: list[int], description: str, type_: type = str
) -> OpenApiParameter:
    return OpenApiParameter(
        name, type_, OpenApiParameter.HEADER, description=description, response=statuses
    )


REQUEST_ID = OpenApiParameter(
    "request_id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH
)
LOCATION = _header("Location", [202], "Where the job is shown.")
ASK_AGAIN = _header(
    "Retry-After", [200], "Ask again after so many seconds; absent when the job is final.", int
)
ASK_FIRST = _header(
    "Retry-After", [202, 429, 503], "Ask, or try, again after so many seconds.", int
)
TRY_AGAIN = _header("Retry-After", [503], "Try again after so many seconds.", int)

create: Operation = extend_schema(
    operation_id="post_job",
    summary="Post a job",
    description="The job is stored before the answer, and done whatever happens. Poll its address for the result.",
    request=JobInput,
    parameters=[LOCATION, ASK_FIRST],
    responses=_answers(202, Accepted, "The job is queued", 400, 413, 415, 429),
)
retrieve: Operation = extend_schema(
    operation_id="show_job",
    summary="Show a job",
    description="Reads what is stored, and so costs little: ask as often as Retry-After says until the status is final.",
    parameters=[REQUEST_ID, ASK_AGAIN, TRY_AGAIN],
    responses=_answers(200, JobShown, "The job", 404),
)
list_: Operation = extend_schema(
    operation_id="list_jobs",
    summary="List jobs, newest first",
    description="Follow `next` for older ones: no job is skipped or shown twice while others arrive.",
    parameters=[ListQuery, TRY_AGAIN],
    responses=_answers(200, JobPage, "A page of jobs", 400),
)
cancel: Operation = extend_schema(
    operation_id="cancel_job",
    summary="Cancel a job",
    description="A job can be cancelled while it is queued or waits for its callback, not while its vendor is being called.",
    request=None,
    parameters=[REQUEST_ID, TRY_AGAIN],
    responses=_answers(200, JobShown, "The job, cancelled", 404, 409),
)
retry: Operation = extend_schema(
    operation_id="retry_job",
    summary="Have a job tried again",
    description="Queues a failed or cancelled job for a new run, with all its tries to come.",
    request=None,
    parameters=[REQUEST_ID, ASK_AGAIN, TRY_AGAIN],
    responses=_answers(200, JobShown, "The job, queued again", 404, 409),
)
