"""The OpenAPI description of the operations on batches."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from clients.scopes import Scope
from jobs.api.batches.posting.shapes import BatchAccepted, BatchPosted
from jobs.api.batches.serializers import BatchListQuery, BatchPage, BatchShown, ResultsQuery
from jobs.api.openapi.operations import (
    IDEMPOTENCY_KEY,
    OF_BODY,
    OF_FIELDS,
    OF_INPUT,
    OF_QUERY,
    PREFER,
    answers,
    operation,
)
from jobs.api.openapi.shapes import ProblemShown

LINES = ("application/x-ndjson", "application/jsonl")
# The codes of refused items.
OF_ITEMS = (
    *("invalid_json", "not_an_object", "too_large", *OF_INPUT, "vendor_not_allowed"),
    *("duplicate_reference", "batch_sealed", "idempotency_key_reused", "server_error"),
)
BATCH_ID = OpenApiParameter("batch_id", {"type": "string", "format": "uuid"}, OpenApiParameter.PATH)


def _of_lines(name: str, description: str) -> OpenApiParameter:
    return OpenApiParameter(name, str, description=f"With lines, not with JSON: {description}")


create = operation(
    "post_batch",
    "Each item is accepted or refused alone, with the codes of POST /jobs; its refusal is in the "
    "answer and in the results. As JSON, a request has up to 1,000 jobs. As lines, with a job on "
    "each, it has up to 50,000 and needs an Idempotency-Key: sent again with the same key, an "
    "upload that was cut off goes on. Every item is there once, however often it is sent.",
    summary="Post a batch of jobs",
    scopes=(Scope.SUBMIT,),
    problems=(
        *OF_BODY,
        *OF_FIELDS,
        *("not_valid", "unknown_vendor", "vendor_disabled", "unknown_option", "not_a_dict"),
        *("min_value", "max_value", "overflow", "bad_key", "expires_too_early"),
        *("unknown_field", "unknown_parameter", "repeated_parameter", "empty_batch"),
        *("too_many_jobs", "vendor_not_allowed", "idempotency_key_required"),
        *("bad_idempotency_key", "idempotency_key_reused", "queue_full", "request_timeout"),
        "bad_chunk",
    ),
    request={"application/json": BatchPosted, **dict.fromkeys(LINES, OpenApiTypes.STR)},
    parameters=[
        IDEMPOTENCY_KEY,
        _of_lines("vendor", "the vendor of the jobs that name none."),
        _of_lines("reference", "your own name for the batch."),
        _of_lines("options", "a JSON object with options of all jobs."),
    ],
    responses=answers(202, BatchAccepted, "All items have come"),
)
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
    problems=("not_found", "not_final", "nothing_to_retry"),
    request=None,
    parameters=[BATCH_ID],
    responses=answers(200, BatchShown, "The batch"),
)
