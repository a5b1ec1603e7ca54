"""The views of batches: post one, show it, list them, read the results, cancel or retry one."""

import logging
import time
from typing import Any, cast

from django.db.models import QuerySet
from django.http import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from clients.directory import Caller
from clients.scopes import Scope
from jobs import batches, operator_actions
from jobs.api import pagination, retry_after, waiting
from jobs.api.access.trail import record_act
from jobs.api.base import APIViewSet
from jobs.api.batches import current, results
from jobs.api.batches.current import Items
from jobs.api.batches.posting import upload
from jobs.api.batches.serializers import BatchListQuery, BatchSummary, ResultsQuery
from jobs.api.input.validation import single_values, validated
from jobs.api.openapi import batch_operations
from jobs.api.problems import Problem
from jobs.api.waiting import Look
from jobs.models import Batch, State
from jobs.queue.clock import redis_clock
from jobs.storage.store import STORE_ERRORS

log = logging.getLogger(__name__)

# Shared by all requests: making a serializer copies all of its fields, and these keep no state.
LIST_QUERY, RESULTS_QUERY, SUMMARY = BatchListQuery(), ResultsQuery(), BatchSummary()
MAX_ACTION_SECONDS = 1.0  # then the sweep goes on


class BatchViewSet(APIViewSet):
    """Batches: post one, show it, list them, read the results, cancel or retry one."""

    scopes = {
        "create": (Scope.SUBMIT,),
        "retrieve": (Scope.READ,),
        "list": (Scope.READ,),
        "results": (Scope.READ,),
        "cancel": (Scope.MANAGE,),
        "retry": (Scope.MANAGE,),
    }
    waiting_actions = ("retrieve",)

    @batch_operations.create
    def create(self, request: Request) -> Response:
        return upload.create(request._request, _caller(request))

    @batch_operations.retrieve
    def retrieve(self, request: Request, batch_id: str) -> Response:
        wait = waiting.asked_for(request)
        batch, items = current.find(batch_id, _caller(request))
        if batch.state != State.FINISHED:
            batch, items = wait.until_final(batch.pk, _finished(batch.pk)) or (batch, items)
        return _shown(batch, items, wait.headers if batch.state == State.FINISHED else {})

    @batch_operations.list_
    def list(self, request: Request) -> Response:
        caller = _caller(request)
        query = validated(LIST_QUERY, single_values(request.query_params), "parameter")
        limit = query["limit"]
        rows = list(_newest(query, caller)[: limit + 1])
        items, more = rows[:limit], rows[limit:]
        next_page = pagination.next_page(request, items[-1].pk, caller.client) if more else None
        shown = map(SUMMARY.to_representation, current.only_for(items, caller.vendors))
        return Response({"items": [*shown], "next": next_page})

    @batch_operations.results
    def results(self, request: Request, batch_id: str) -> HttpResponseBase:
        caller = _caller(request)
        query = validated(RESULTS_QUERY, single_values(request.query_params), "parameter")
        batch, _ = current.find(batch_id, caller)
        if batch.state != State.FINISHED and query["partial"] != "true":
            detail = "This batch is not finished. Ask with partial=true for what there is."
            raise Problem("not_finished", 409, detail)
        return results.response(request._request, batch.pk, query["format"], query.get("fields"))

    @batch_operations.cancel
    def cancel(self, request: Request, batch_id: str) -> Response:
        caller = _caller(request)
        batch, items = current.find(batch_id, caller)
        now = redis_clock.now()
        if not batches.request_cancel(batch.pk, now):
            raise Problem("already_final", 409, "This batch is finished.")
        batch.cancel_requested_at, batch.retry_requested_at = now, None
        record_act(request, "batch.cancelled", f"batch:{batch.pk}")
        return _carried_out(batch, items, caller)

    @batch_operations.retry
    def retry(self, request: Request, batch_id: str) -> Response:
        caller = _caller(request)
        batch, items = current.find(batch_id, caller)
        if not (
            items.counts["failed"] or batch.retry_requested_at or batch.state == State.RECEIVING
        ):
            detail = "No job of this batch has failed. Cancelled jobs are retried one by one."
            raise Problem("nothing_to_retry", 409, detail)
        now = redis_clock.now()
        if not batches.request_retry(batch.pk, now):
            detail = "This batch is receiving items. It can be retried when all have come."
            raise Problem("not_final", 409, detail)
        batch.cancel_requested_at, batch.retry_requested_at = None, now
        record_act(request, "batch.retried", f"batch:{batch.pk}")
        return _carried_out(batch, items, caller)


def _caller(request: Request) -> Caller:
    return cast("Caller", request.user)


def _carried_out(batch: Batch, items: Items, caller: Caller) -> Response:
    """Do what was requested of the batch, as far as there is time, and show it.

    The request is stored, so it is not answered as one that has failed: the sweep goes on with it.
    """
    try:
        _carry_out(batch)
        return _shown(*current.find(batch.pk, caller))
    except STORE_ERRORS as error:
        log.warning("A batch is cancelled or retried by the sweep: %s", type(error).__name__)
        batch.state, batch.finished_at = State.RUNNING, None
        return _shown(batch, items)


def _finished(batch_id: str) -> Look[tuple[Batch, Items]]:
    """Return a function that finds the batch if it is finished."""

    def look(caller: Caller) -> tuple[Batch, Items] | None:
        batch, items = current.find(batch_id, caller)
        return (batch, items) if batch.state == State.FINISHED else None

    return look


def _shown(batch: Batch, items: Items, headers: dict[str, str] | None = None) -> Response:
    shown = SUMMARY.to_representation(batch)
    shown |= {"received": sum(items.counts.values()), "counts": items.counts}
    return Response(shown, headers={**(headers or {}), **poll_after(batch)})


def poll_after(batch: Batch) -> dict[str, str]:
    """Return the header that says when to ask again, if the batch is not finished."""
    if batch.state == State.FINISHED:
        return {}
    return {"Retry-After": str(retry_after.of_batch(batch.created_at))}


def _newest(query: dict[str, Any], caller: Caller) -> "QuerySet[Batch]":
    rows = Batch.owned.by(caller.client).order_by("-id")
    if "cursor" in query:
        rows = rows.filter(id__lt=pagination.requested_position(query["cursor"], caller.client))
    if "reference" in query:
        rows = pagination.with_reference(rows, query["reference"])
    return rows.filter(state=query["state"]) if "state" in query else rows


def _carry_out(batch: Batch) -> None:
    """Do what was requested for the batch, as far as the time of a request suffices."""
    end = time.monotonic() + MAX_ACTION_SECONDS
    while time.monotonic() < end:
        running = Batch.owned.by(batch.client).filter(pk=batch.pk, state=State.RUNNING).first()
        if running is None or not operator_actions.advance(running):
            return
