"""The OpenAPI description of the operations on batches."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from clients.scopes import Scope
from jobs.api.batches.serializers import BatchListQuery, BatchPage, BatchShown, ResultsQuery
from jobs.api.openapi.operations import OF_QUERY, PREFER, answers, operation
from jobs.api.openapi.shapes import ProblemShown

BATCH_ID = OpenApiParameter("batch_id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH)

retrieve = operation(
    "show_batch",
    "A finished batch is one without open jobs: `counts` says how many failed. Poll at the "
    "interval of Retry-After until then, or send `Prefer: wait`.",
    summary="Show a batch",
    scopes=(Scope.READ,),
    problems=("not_found",),
    parameters=[BATCH_ID, PREFER],
    responses=answers(200, BatchShown, "The batch"),
)
list_ = operation(
    "list_batches",
    "Follow `next` for older batches. If the API key is limited to certain vendors, a page may "
    "have fewer batches than `limit`.",
    summary="List batches, newest first",
    scopes=(Scope.READ,),
    problems=OF_QUERY,
    parameters=[BatchListQuery],
    responses=answers(200, BatchPage, "A page of batches"),
)
results = operation(
    "read_results",
    "One line for each item, in the order in which the items were posted, failed and refused ones "
    "included. The answer is streamed. One that ends without its last chunk is incomplete.",
    summary="Read the results of a batch",
    scopes=(Scope.READ,),
    problems=(*OF_QUERY, "bad_fields", "not_found", "not_finished"),
    parameters=[BATCH_ID, ResultsQuery],
    responses={
        (200, "application/x-ndjson"): OpenApiResponse(OpenApiTypes.STR, "The results"),
        (200, "text/csv"): OpenApiResponse(OpenApiTypes.STR, "The results"),
        (500, "application/problem+json"): OpenApiResponse(ProblemShown),
    },
)
cancel = operation(
    "cancel_batch",
    "Cancels all jobs that are queued or wait for their callback. Those that are being called "
    "continue, and are cancelled if they would be queued again. A batch that is receiving takes no "
    "more items. What takes longer than a second goes on after the answer: see `pending_action`.",
    summary="Cancel a batch",
    scopes=(Scope.MANAGE,),
    problems=("not_found", "already_final"),
    request=None,
    parameters=[BATCH_ID],
    responses=answers(200, BatchShown, "The batch"),
)
retry = operation(
    "retry_batch",
    "Queues all jobs that have failed by now for a new run. What takes longer than a second goes "
    "on after the answer: see `pending_action`.",
    summary="Retry the failed jobs of a batch",
    scopes=(Scope.MANAGE,),
    problems=("not_found", "not_final"),
    request=None,
    parameters=[BATCH_ID],
    responses=answers(200, BatchShown, "The batch"),
)
