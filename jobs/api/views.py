"""The jobs API: accept a job, show it, list jobs, cancel one or have it tried again."""

import json
import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.utils.http import urlencode
from rest_framework.exceptions import ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.serializers import Serializer
from rest_framework.viewsets import ViewSet

from jobs import operator_actions
from jobs.api import bodies, pagination, problems, retry_after, schema
from jobs.api.intake import accept
from jobs.api.problems import Problem, not_valid, queue_full
from jobs.api.serializers import STORED, JobInput, JobShown, JobSummary, ListQuery
from jobs.models import FINAL, Job, Status
from jobs.queue.backlog import backlog
from jobs.queue.clock import redis_clock
from jobs.storage.lookup import Lookup
from vendors.catalogue import catalogue
from vendors.payloads import exact

ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

ALREADY_FINAL = ("already_final", "The job has ended, so there is nothing to cancel.")
CALL_UNDER_WAY = (
    "call_under_way",
    "The vendor is being called, and a call can't be taken back; ask again when it has ended.",
)
ALREADY_COMPLETE = (
    "already_complete",
    "The job is complete; to have it done again, post it as a new job.",
)
NOT_FINAL = (
    "not_final",
    "The job has not ended yet; only a failed or cancelled job can be retried.",
)
MOVED_ON = ("moved_on", "The job moved on at the same moment; look at it and ask again.")
CANCEL_REFUSALS = {Status.PROCESSING: CALL_UNDER_WAY, **dict.fromkeys(FINAL, ALREADY_FINAL)}
RETRY_REFUSALS = {
    **dict.fromkeys((Status.QUEUED, Status.PROCESSING, Status.WAITING), NOT_FINAL),
    Status.COMPLETE: ALREADY_COMPLETE,
}


# Made once: a serializer copies all of its fields each time, and these keep nothing of a request.
INPUT, QUERY, SHOWN = JobInput(), ListQuery(), JobShown()
OUTWARD_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
COLUMNS = Lookup(Job, "id", *pagination.COLUMNS, "result", "queued_at", "not_before", "stream")


class JSONAlways(DefaultContentNegotiation):
    """Answers are JSON whatever the client says that it accepts."""

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class JobViewSet(ViewSet):
    """Jobs: post one, look at it, list them, cancel one or have it tried again."""

    content_negotiation_class = JSONAlways

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Call the action at once (docs/decisions/0011-request-cost.md); REST framework has OPTIONS
        and what is not allowed.
        """
        action = self.action_map.get((request.method or "").lower())
        if action is None:
            return super().dispatch(request, *args, **kwargs)
        try:
            response: HttpResponse = getattr(self, action)(request, *args, **kwargs)
        except Exception as error:
            problem = problems.handle(error, {})
            if problem is None:
                raise
            response = problem
        for name, value in self.default_response_headers.items():
            response[name] = value
        return response

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {**super().default_response_headers, "Cache-Control": "no-store"}

    @schema.create
    def create(self, request: HttpRequest) -> HttpResponse:
        asked = _valid(INPUT, bodies.read_object(request, settings.JOB_MAX_BYTES), "pointer", "/")
        if backlog.is_full(asked["vendor"]):
            raise queue_full(retry_after.of_full_queue(asked["vendor"]))
        job = Job(vendor=asked["vendor"], name=asked["name"], input=asked["input"])
        accept(job)
        headers = {
            "Location": f"/jobs/{job.pk}",
            "Retry-After": str(retry_after.of_new_job(job.vendor)),
        }
        return _answer({"request_id": job.pk, "status": job.status}, 202, headers)

    @schema.retrieve
    def retrieve(self, request: HttpRequest, request_id: str) -> HttpResponse:
        return _shown(request_id.lower())

    @schema.list_
    def list(self, request: HttpRequest) -> HttpResponse:
        asked = _valid(QUERY, _given_once(request.GET), "parameter")
        limit = asked["limit"]
        statuses = STORED[asked["status"]] if "status" in asked else ()
        rows = pagination.newest(statuses, _bounds(asked), asked.get("vendor"), limit + 1)
        items, more = rows[:limit], rows[limit:]
        following = _next_page(request, items[-1]["id"]) if more else None
        return _answer({"items": JobSummary(items, many=True).data, "next": following})

    @schema.cancel
    def cancel(self, request: HttpRequest, request_id: str) -> HttpResponse:
        job = _find(request_id)
        if not operator_actions.cancel(job, redis_clock.now()):
            raise _refusal(job.pk, CANCEL_REFUSALS)
        return _shown(job.pk)

    @schema.retry
    def retry(self, request: HttpRequest, request_id: str) -> HttpResponse:
        job = _find(request_id)
        if catalogue.get(job.vendor) is None:
            raise Problem(
                "vendor_unknown",
                409,
                "The vendor of this job no longer exists, so nobody could do it.",
            )
        if not operator_actions.retry(job, redis_clock.now()):
            raise _refusal(job.pk, RETRY_REFUSALS)
        return _shown(job.pk)


def _given_once(query: QueryDict) -> dict[str, Any]:
    """Return the parameters. Raises Problem that names each that is given twice: only one of its
    values would hold.
    """
    repeated = [name for name, values in query.lists() if len(values) > 1]
    if repeated:
        text = "This parameter is given more than once; give it once."
        raise not_valid(
            [{"parameter": name, "code": "repeated_parameter", "detail": text} for name in repeated]
        )
    return query.dict()


def _valid(
    serializer: Serializer[Any], asked: dict[str, Any], place: str, prefix: str = ""
) -> dict[str, Any]:
    """Return what was asked, checked. Raises Problem that names each field in `place`."""
    try:
        return dict(serializer.run_validation(asked))
    except ValidationError as error:
        detail: Any = error.detail  # a dict of lists, as a serializer's always is
        faults = [(field, fault) for field, of_field in detail.items() for fault in of_field]
    raise not_valid(
        [
            {place: f"{prefix}{field}", "code": fault.code, "detail": str(fault)}
            for field, fault in faults
        ]
    )


def _find(request_id: str) -> Job:
    """Return the job without its input. Raises Problem where there is none."""
    job_id = request_id.lower()
    try:
        if ID.fullmatch(job_id):
            return Job.objects.defer("input").get(pk=job_id)
    except Job.DoesNotExist:
        pass
    raise _not_found()


def _shown(job_id: str) -> HttpResponse:
    row = COLUMNS.find(job_id) if ID.fullmatch(job_id) else None
    if row is None:
        raise _not_found()
    if row["status"] == Status.COMPLETE:
        retry_after.durations.note(row)
    headers = {} if row["status"] in FINAL else {"Retry-After": str(retry_after.of_job(row))}
    return _answer(SHOWN.to_representation(row), headers=headers)


def _not_found() -> Problem:
    return Problem("not_found", 404, "There is no job with this id.")


def _answer(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """Return the value as JSON that is JavaScript, too: which takes two separators of lines for
    what they are.
    """
    text = exact.write(value, OUTWARD_JSON)
    text = text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return HttpResponse(text, "application/json", status, headers=headers)


def _refusal(job_id: str, refusals: Mapping[Status, tuple[str, str]]) -> Problem:
    """Say why the job, as it is now, can't be moved."""
    code, detail = refusals.get(Status(_find(job_id).status), MOVED_ON)
    return Problem(code, 409, detail)


def _bounds(asked: dict[str, Any]) -> dict[str, str]:
    """Return the bounds of the ids that were asked for: a job's id says when it was made."""
    before = [pagination.first_id_at(asked["created_before"])] if "created_before" in asked else []
    before += [asked["cursor"]] if "cursor" in asked else []
    after = (
        {"gte": pagination.first_id_at(asked["created_after"])} if "created_after" in asked else {}
    )
    return {**after, **({"lt": min(before)} if before else {})}


def _next_page(request: HttpRequest, last_id: str) -> str:
    return f"{request.path}?{urlencode({**request.GET.dict(), 'cursor': pagination.cursor_after(last_id)})}"
