"""Writes the invented past into the store: jobs, attempts and callbacks."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from demo.history import Call, Past
from jobs.api.pagination import first_id_at
from jobs.models import Attempt, Callback, Job, Status, Stream, Verdict
from jobs.storage.store import writing
from vendors.models import new_id

CHUNK = 1000
WORKER = "demo-1-0a1b2c3d"


def write(pasts: Iterable[Past]) -> None:
    rest = iter(pasts)
    while chunk := list(islice(rest, CHUNK)):
        ids = [id_at(past.created_at) for past in chunk]
        named = list(zip(ids, chunk, strict=True))
        with writing():
            Job.objects.bulk_create([_job(*each) for each in named])
            Attempt.objects.bulk_create([row for each in named for row in _attempts(*each)])
            Callback.objects.bulk_create([row for each in named for row in _callbacks(*each)])


def id_at(moment: datetime) -> str:
    """Return an id as it was made at that time."""
    return first_id_at(moment)[:14] + new_id()[14:]


def _job(job_id: str, past: Past) -> Job:
    fields = {
        "id": job_id,
        "client": past.client,
        "vendor": past.story.vendor,
        "name": past.name,
        "input": {"name": past.name, "city": "Lisbon"},
        "created_at": past.created_at,
        "reference": f"order {int(past.created_at.timestamp()) % 100_000:05d}",
        "attempt": len(past.calls),
    }
    return Job.new(**fields, **(_end(past) if past.finished_at else {}))


def _end(past: Past) -> dict[str, Any]:
    common = {
        "started_at": past.calls[-1].started_at,
        "finished_at": past.finished_at,
        "failures": sum(call.trouble is not None for call in past.calls),
        "stream": Stream.RETRIES if len(past.calls) > 1 else Stream.JOBS,
    }
    if past.trouble:
        message = past.trouble.message
        if len(past.calls) > 1:
            message += f" Gave up after {len(past.calls)} attempts."
        error = {"error_code": past.trouble.code, "error_message": message}
        return {**common, **error, "status": Status.FAILED}
    answer: dict[str, Any] = {"outcome": "found", "result": _result(past)}
    if not past.has_data:
        answer = {"outcome": "no_data", "result": None}
    return {**common, **answer, "status": Status.COMPLETE}


def _result(past: Past) -> dict[str, Any]:
    info = "Processed async" if past.story.calls_back else "Processed sync"
    return {"name": past.name, "info": info}


def _attempts(job_id: str, past: Past) -> Iterator[Attempt]:
    for number, call in enumerate(past.calls, start=1):
        yield Attempt.new(
            id=id_at(call.started_at),
            job=job_id,
            vendor=past.story.vendor,
            run=1,
            number=number,
            worker=WORKER,
            started_at=call.started_at,
            ended_at=call.ended_at,
            outcome=outcome_of(past, call),
            message=call.trouble.message if call.trouble else "",
            cost=None if call.trouble else past.story.cost,
            reply=_reply(call),
        )


def outcome_of(past: Past, call: Call) -> str:
    """Return what the call came to, as an attempt's row names it."""
    if past.story.calls_back:
        return "pending"
    if call.trouble:
        return call.trouble.code
    return "found" if past.has_data else "no_data"


def _reply(call: Call) -> dict[str, Any] | None:
    if call.trouble is None or call.trouble.status is None:
        return None
    body = f'{{"error": "Status {call.trouble.status}, as configured."}}'
    headers = {"Content-Type": "application/json"}
    return {"status": call.trouble.status, "headers": headers, "body": body}


def _callbacks(job_id: str, past: Past) -> Iterator[Callback]:
    if past.finished_at is None or past.trouble or not past.story.calls_back:
        return
    callback_id = id_at(past.finished_at)
    fields: dict[str, Any] = {"body": _result(past), "body_bytes": 64, "verdict": Verdict.APPLIED}
    yield Callback(
        id=callback_id,
        key=callback_id,
        job=job_id,
        vendor=past.story.vendor,
        run=1,
        attempt=len(past.calls),
        received_at=past.finished_at - timedelta(milliseconds=20),
        **fields,
    )
