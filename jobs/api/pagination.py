"""Pages of jobs, newest first.

Ids are UUIDv7, which sort by time of creation. They alone give the order, so pages stay stable
while jobs arrive.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID

from django.core import signing
from django.db import connection
from django.db.models import Func, QuerySet

from jobs.models import Job, Status

SALT = "jobs.api.pagination"
MAX_SCANS = 100  # in one statement; SQLite allows 500
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = (
    *("status", "vendor", "name", "attempt", "run", "error_code", "error_message"),
    *("created_at", "started_at", "finished_at", "not_before", "expires_at"),
    *("reference", "metadata"),
)


def cursor_after(job_id: str, client: str) -> str:
    """Return the client's cursor of the page that follows this job."""
    return signing.dumps(job_id, salt=f"{SALT}.{client}")


def position(cursor: str, client: str) -> str:
    """Return the id of the job that the client's cursor's page follows.

    Raises django.core.signing.BadSignature, also for the cursor of another client.
    """
    return str(signing.loads(cursor, salt=f"{SALT}.{client}"))


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
    def choices(self) -> dict[str, Collection[str]]:
        choices = {"vendor": self.vendors, "status": self.statuses}
        return {name: values for name, values in choices.items() if values is not None}


class Unindexed(Func):
    """A column for which SQLite does not consider an index."""

    template = "+%(expressions)s"
    arity = 1


def newest(client: str, filters: Filters, limit: int) -> list[dict[str, Any]]:
    """Return the columns of at most `limit` jobs of the client. Each query reads a single index in
    order, so the jobs of other clients do not matter.
    """
    if not all(filters.choices.values()):
        return []
    jobs = Job.owned.by(client)
    jobs = jobs.filter(**{f"id__{bound}": job_id for bound, job_id in filters.bounds.items()})
    if connection.vendor == "mongodb":
        queries = [_with_choices(_with_reference(jobs, filters), filters)]
    elif filters.reference:
        # Few jobs share a reference. Without statistics, SQLite might prefer an index of statuses.
        plain = {f"plain_{name}": Unindexed(name) for name in filters.choices}
        queries = [_with_choices(_with_reference(jobs.alias(**plain), filters), filters, "plain_")]
    else:
        # SQLite merges one index scan for each choice in order, but would sort the rows of an `IN`.
        # MongoDB does the opposite.
        names, values = filters.choices.keys(), filters.choices.values()
        queries = [jobs.filter(**dict(zip(names, each, strict=True))) for each in product(*values)]
    found: list[dict[str, Any]] = []
    for start in range(0, len(queries), MAX_SCANS):
        found += _union(queries[start : start + MAX_SCANS])[:limit]
    return sorted(found, key=lambda row: row["id"], reverse=True)[:limit]


def _with_reference(jobs: "QuerySet[Job]", filters: Filters) -> "QuerySet[Job]":
    # The second condition is that of the partial index.
    with_one = {"reference": filters.reference, "reference__gt": ""}
    return jobs.filter(**with_one) if filters.reference else jobs


def _with_choices(jobs: "QuerySet[Job]", filters: Filters, prefix: str = "") -> "QuerySet[Job]":
    return jobs.filter(
        **{f"{prefix}{name}__in": values for name, values in filters.choices.items()}
    )


def _union(queries: "Sequence[QuerySet[Job]]") -> "QuerySet[Job, Any]":
    first, *others = [jobs.values("id", *COLUMNS) for jobs in queries]
    found: QuerySet[Job, Any] = first.union(*others, all=True) if others else first
    return found.order_by("-id")
