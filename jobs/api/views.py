"""The jobs API: post a job, show it, list jobs, cancel or retry one."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response

from clients.directory import Caller
from clients.scopes import Scope
from jobs import operator_actions
from jobs.api import idempotency, pagination, retry_after, waiting
from jobs.api.access.trail import record_act
from jobs.api.base import ID, APIViewSet
from jobs.api.formats import posted
from jobs.api.input.job import new_job, require_its_vendor, require_room
from jobs.api.input.validation import single_values, validated
from jobs.api.openapi import operations
from jobs.api.pagination import Filters
from jobs.api.problems import Problem
from jobs.api.serializers import OUTWARD, STORED, JobShown, JobSummary, ListQuery
from jobs.api.waiting import Wait
from jobs.models import FINAL, Job, Status
from jobs.queue.clock import redis_clock
from jobs.queue.held.hold import hold_of_job
from jobs.queue.held.recent import recent_holds
from jobs.storage.lookup import Lookup
from vendors.catalogue import catalogue

ALREADY_FINAL = ("already_final", "This job has already ended.")
CALL_UNDER_WAY = (
    "call_under_way",
    "The vendor is being called, and the call can't be undone. Try again when it has ended.",
)
ALREADY_COMPLETE = (
    "already_complete",
    "This job is complete. To run it again, post it as a new job.",
)
NOT_FINAL = ("not_final", "This job has not ended. Only failed or cancelled jobs can be retried.")
MOVED_ON = ("moved_on", "The job changed at the same moment. Fetch it and try again.")
CANCEL_REFUSALS = {Status.PROCESSING: CALL_UNDER_WAY, **dict.fromkeys(FINAL, ALREADY_FINAL)}
RETRY_REFUSALS = {
    **dict.fromkeys((Status.QUEUED, Status.PROCESSING, Status.WAITING), NOT_FINAL),
    Status.COMPLETE: ALREADY_COMPLETE,
}

# Shared by all requests: making a serializer copies all of its fields, and these keep no state.
QUERY, SHOWN = ListQuery(), JobShown()
SHOWN_COLUMNS = ("id", *pagination.COLUMNS, "result", "queued_at", "stream")
COLUMNS = Lookup(Job, *SHOWN_COLUMNS, owner="client")


class JobViewSet(APIViewSet):
    """Jobs: post one, show it, list them, cancel or retry one."""

    scopes = {
        "create": (Scope.SUBMIT,),
        "retrieve": (Scope.READ,),
        "list": (Scope.READ,),
        "cancel": (Scope.MANAGE,),
        "retry": (Scope.MANAGE,),
    }
    waiting_actions = ("create", "retrieve")

    @operations.create
    def create(self, request: Request) -> Response:
        wait = waiting.asked_for(request)
        body, caller = posted(request), _caller(request)
        key = idempotency.key_of(request)
        require_its_vendor(body, caller)
        fingerprint = idempotency.fingerprint(body) if key else ""
        # Before the validation: what was valid then may not be so now.
        if key and (first := idempotency.first_use(caller.client, key, fingerprint)):
            return _replayed(first, wait)
        job = new_job(body, caller)
        require_room(job.vendor)
        job.idempotency_key, job.fingerprint = key, fingerprint
        if first := idempotency.accept_once(job):
            return _replayed(first, wait)
        row = {"id": job.pk, "status": job.status, "vendor": job.vendor}
        return _accepted(row, wait, {"Retry-After": str(retry_after.of_new_job(job))})

    @operations.retrieve
    def retrieve(self, request: Request, request_id: str) -> Response:
        wait = waiting.asked_for(request)
        row = _row(request_id.lower(), _caller(request))
        if row["status"] not in FINAL:
            row = _final_in_time(row, wait) or row
        return _shown(row, wait.headers if row["status"] in FINAL else {})

    @operations.list_
    def list(self, request: Request) -> Response:
        caller = _caller(request)
        query = validated(QUERY, single_values(request.query_params), "parameter")
        limit = query["limit"]
        filters = Filters(
            vendors=_vendors(query, caller),
            statuses=STORED[query["status"]] if "status" in query else None,
            reference=query.get("reference", ""),
            bounds=_bounds(query, caller),
        )
        rows = pagination.newest(caller.client, filters, limit + 1)
        items, more = rows[:limit], rows[limit:]
        _add_holds(items)
        next_page = pagination.next_page(request, items[-1]["id"], caller.client) if more else None
        return Response({"items": JobSummary(items, many=True).data, "next": next_page})

    @operations.cancel
    def cancel(self, request: Request, request_id: str) -> Response:
        caller = _caller(request)
        job = _find(request_id, caller)
        if not operator_actions.cancel(job, redis_clock.now()):
            raise _refusal(job.pk, caller, CANCEL_REFUSALS)
        record_act(request, "job.cancelled", f"job:{job.pk}")
        return _shown(_row(job.pk, caller), {})

    @operations.retry
    def retry(self, request: Request, request_id: str) -> Response:
        caller = _caller(request)
        job = _find(request_id, caller)
        if catalogue.get(job.vendor) is None:
            raise Problem("vendor_unknown", 409, "This job's vendor no longer exists.")
        if not operator_actions.retry(job, redis_clock.now()):
            raise _refusal(job.pk, caller, RETRY_REFUSALS)
        record_act(request, "job.retried", f"job:{job.pk}")
        return _shown(_row(job.pk, caller), {})


def _accepted(row: dict[str, Any], wait: Wait, headers: dict[str, str]) -> Response:
    """Return the answer to a posted job: the job itself, if it ends while the request waits."""
    headers["Location"] = f"/jobs/{row['id']}"
    if final := _final_in_time(row, wait):
        headers.pop("Retry-After", None)
        return _shown(final, {**headers, **wait.headers})
    shown = {"request_id": row["id"], "status": OUTWARD[Status(row["status"])]}
    return Response(shown, 202, headers=headers)


def _replayed(row: dict[str, Any], wait: Wait) -> Response:
    """Return the answer to a repeated request: the job of the first one."""
    headers = {"Idempotency-Replayed": "true", **_poll_after(row)}
    return _accepted(row, wait, headers)


def _final_in_time(row: dict[str, Any], wait: Wait) -> dict[str, Any] | None:
    """Return SHOWN_COLUMNS of the job if it is final before the wait is over."""

    def look(caller: Caller) -> dict[str, Any] | None:
        found = _row(row["id"], caller)
        return found if found["status"] in FINAL else None

    if row["status"] in FINAL and wait.seconds:
        return wait.look(look)
    return wait.until_final(row["id"], look, vendor=row["vendor"])


def _poll_after(row: dict[str, Any]) -> dict[str, str]:
    return {} if row["status"] in FINAL else {"Retry-After": str(retry_after.of_job(row))}


def _caller(request: Request) -> Caller:
    return cast("Caller", request.user)


def _find(request_id: str, caller: Caller) -> Job:
    """Return the caller's job without its input. Raises Problem if it does not exist."""
    job_id = request_id.lower()
    try:
        if ID.fullmatch(job_id):
            owned = Job.owned.by(caller.client, caller.vendors)
            return owned.defer("input").get(pk=job_id)
    except Job.DoesNotExist:
        pass
    raise _not_found()


def _row(job_id: str, caller: Caller) -> dict[str, Any]:
    """Return SHOWN_COLUMNS of the caller's job. Raises Problem if it does not exist."""
    row = COLUMNS.find(job_id, caller.client) if ID.fullmatch(job_id) else None
    if row is None or not caller.may_use(row["vendor"]):
        raise _not_found()
    return row


def _shown(row: dict[str, Any], headers: Mapping[str, str]) -> Response:
    if row["status"] == Status.COMPLETE:
        retry_after.durations.note(row)
    _add_holds([row])
    return Response(SHOWN.to_representation(row), headers={**headers, **_poll_after(row)})


def _add_holds(rows: Iterable[dict[str, Any]]) -> None:
    """Add what holds them to the rows of queued jobs, if it is known."""
    queued = [row for row in rows if row["status"] == Status.QUEUED]
    if not queued:
        return
    of_vendors, now = recent_holds.of({row["vendor"] for row in queued}), redis_clock.now()
    for row in queued:
        if row["vendor"] in of_vendors:
            row["hold"] = hold_of_job(row["not_before"], of_vendors[row["vendor"]], now)


def _not_found() -> Problem:
    return Problem("not_found", 404, "There is no job with this id.")


def _refusal(job_id: str, caller: Caller, refusals: Mapping[Status, tuple[str, str]]) -> Problem:
    """Return why the job, in its present status, can't be cancelled or retried."""
    code, detail = refusals.get(Status(_find(job_id, caller).status), MOVED_ON)
    return Problem(code, 409, detail)


def _vendors(query: dict[str, Any], caller: Caller) -> Collection[str] | None:
    """Return the vendors whose jobs are requested and may be shown; None for all."""
    if "vendor" not in query:
        return caller.vendors
    return [query["vendor"]] if caller.may_use(query["vendor"]) else []


def _bounds(query: dict[str, Any], caller: Caller) -> dict[str, str]:
    """Return the bounds of the requested ids: an id contains its time of creation."""
    bounds = {}
    if "created_after" in query:
        bounds["gte"] = pagination.first_id_at(query["created_after"])
    before = []
    if "cursor" in query:
        before.append(pagination.requested_position(query["cursor"], caller.client))
    if "created_before" in query:
        before.append(pagination.first_id_at(query["created_before"]))
    if before:
        bounds["lt"] = min(before)
    return bounds
