"""Pages of jobs and of batches, newest first.

Ids are UUIDv7, which sort by time of creation. They alone give the order, so pages stay stable
while others arrive.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

from django.core import signing
from django.db import connection
from django.db.models import BooleanField, F, Func, QuerySet, Value
from django.db.models.lookups import Exact, GreaterThan
from django.utils.http import urlencode
from rest_framework.request import Request

from jobs.api.problems import not_valid
from jobs.models import EPOCH, Job, Status
from jobs.models.owned import Row

SALT = "jobs.api.pagination"
Choices = Mapping[str, Collection[str]]  # by field: the values of which it has one
MAX_SCANS = 100  # in one statement; SQLite allows 500
COLUMNS = (
    *("status", "vendor", "name", "attempt", "run", "error_code", "error_message"),
    *("created_at", "started_at", "finished_at", "not_before", "expires_at"),
    *("reference", "metadata", "batch", "batch_index", "outcome"),
)


def cursor_after(row_id: str, client: str) -> str:
    """Return the client's cursor of the page that follows this row."""
    return signing.dumps(row_id, salt=f"{SALT}.{client}")


def requested_position(cursor: str, client: str) -> str:
    """Return the id of the row that the client's cursor's page follows. Raises Problem, also for
    the cursor of another client.
    """
    try:
        return str(signing.loads(cursor, salt=f"{SALT}.{client}"))
    except signing.BadSignature:
        detail = "This cursor is not valid. Start again without a cursor."
        error = {"parameter": "cursor", "code": "bad_cursor", "detail": detail}
        raise not_valid([error]) from None


def next_page(request: Request, last_id: str, client: str) -> str:
    """Return the path and query of the page that follows this row."""
    parameters = {**request.query_params.dict(), "cursor": cursor_after(last_id, client)}
    return f"{request.path}?{urlencode(parameters)}"


def first_id_at(moment: datetime) -> str:
    """Return the lowest possible id of a job created at `moment` or later.

    Ids count whole milliseconds, so a fraction is rounded up.
    """
    milliseconds = -((EPOCH - moment) // timedelta(milliseconds=1))
    return str(UUID(int=max(0, milliseconds) << 80))


@dataclass(frozen=True)
class Filters:
    """Which of a client's jobs to list. `vendors` and `statuses`: one of these; None for any."""

    vendors: Collection[str] | None = None
    statuses: Collection[Status] | None = None
    reference: str = ""
    bounds: Mapping[str, str] = field(default_factory=dict)  # of ids: {"gte": ..., "lt": ...}

    @property
    def choices(self) -> Choices:
        choices = {"vendor": self.vendors, "status": self.statuses}
        return {name: values for name, values in choices.items() if values is not None}


class Unindexed(Func):
    """A column for which SQLite does not consider an index."""

    template = "+%(expressions)s"
    arity = 1


class OfFew(Func):
    """A condition that SQLite, which has no statistics, is told to expect of few rows."""

    template = "likelihood(%(expressions)s, 0.0001)"
    arity = 1
    output_field = BooleanField()


class OfMany(Func):
    """A condition that SQLite is told to expect of nearly all rows."""

    template = "likely(%(expressions)s)"
    arity = 1
    output_field = BooleanField()


def newest(client: str, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Return the columns of at most `limit` jobs of the client. Each query reads an index of the
    client's jobs in order, so the jobs of other clients do not matter.
    """
    if not all(filters.choices.values()):
        return []
    jobs = Job.owned.by(client)
    jobs = jobs.filter(**{f"id__{bound}": job_id for bound, job_id in filters.bounds.items()})
    if filters.reference:
        jobs = with_reference(jobs, filters.reference)
    if connection.vendor == "mongodb":
        queries = [jobs.filter(**_any_of(filters.choices))]
    elif filters.reference:
        queries = [_unindexed(jobs, filters.choices)]
    else:
        # SQLite merges one index scan for each choice in order, but would sort the rows of an `IN`.
        # MongoDB does the opposite.
        indexed, plain = _split(filters.choices)
        jobs = _unindexed(jobs, plain)
        queries = [
            jobs.filter(**dict(zip(indexed, each, strict=True)))
            for each in product(*indexed.values())
        ]
    found: list[dict[str, Any]] = []
    for start in range(0, len(queries), MAX_SCANS):
        found += _union(queries[start : start + MAX_SCANS])[:limit]
    return sorted(found, key=lambda row: row["id"], reverse=True)[:limit]


def with_reference(rows: "QuerySet[Row]", reference: str) -> "QuerySet[Row]":
    """Return those of the jobs or batches that have this reference, so that SQLite reads the index
    of references: few share one. It considers this partial index only if its condition is repeated.
    """
    if connection.vendor == "mongodb":
        return rows.filter(reference=reference)
    column = F("reference")
    return rows.filter(OfFew(Exact(column, reference)), OfMany(GreaterThan(column, Value(""))))


def _split(choices: Choices) -> tuple[Choices, Choices]:
    """Return the choices to find by an index, and those to check in each row found. An index over
    both would cost every job more than it gives: most jobs are complete, and few anything else.
    """
    if len(choices) < 2:
        return choices, {}
    found_by = "vendor" if Status.COMPLETE in choices["status"] else "status"
    return (
        {name: values for name, values in choices.items() if name == found_by},
        {name: values for name, values in choices.items() if name != found_by},
    )


def _unindexed(jobs: "QuerySet[Job]", choices: Choices) -> "QuerySet[Job]":
    """Return those of the jobs that match, without having SQLite consider an index for that."""
    columns = {f"plain_{name}": Unindexed(name) for name in choices}
    plain = {f"plain_{name}": values for name, values in choices.items()}
    return jobs.alias(**columns).filter(**_any_of(plain))


def _any_of(choices: Choices) -> dict[str, Any]:
    """Return conditions for QuerySet.filter. Equality where possible: any store can plan that."""
    single = {name: next(iter(values)) for name, values in choices.items() if len(values) == 1}
    several = {f"{name}__in": values for name, values in choices.items() if len(values) > 1}
    return {**single, **several}


def _union(queries: "Sequence[QuerySet[Job]]") -> "QuerySet[Job, Any]":
    first, *others = [jobs.values("id", *COLUMNS) for jobs in queries]
    found: QuerySet[Job, Any] = first.union(*others, all=True) if others else first
    return found.order_by("-id")
