"""Pages of jobs, newest first.

Ids are UUIDv7, which sort by time of creation. They alone give the order, so pages stay stable
while jobs arrive.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core import signing
from django.db import connection
from django.db.models import Q, QuerySet

from jobs.models import Job, Status

SALT = "jobs.api.pagination"
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


def newest(
    owned: "QuerySet[Job]",
    statuses: tuple[Status, ...],
    bounds: dict[str, str],
    equal: dict[str, str],
    limit: int,
) -> list[dict[str, Any]]:
    """Return the columns of at most `limit` of these jobs with one of `statuses` (empty: any).

    `bounds` limits their ids: {"gte": ..., "lt": ...}, both optional. `equal` has the values that
    other fields must have.
    """
    where = Q(**{f"id__{bound}": job_id for bound, job_id in bounds.items()}, **equal)
    # SQLite merges one index scan per status in order, but would sort the rows of an `IN`.
    # MongoDB does the opposite.
    if connection.vendor == "mongodb":
        conditions = [where & Q(status__in=statuses)] if statuses else [where]
    else:
        conditions = [where & Q(status=status) for status in statuses] or [where]
    first, *others = [owned.filter(each).values("id", *COLUMNS) for each in conditions]
    found = first.union(*others, all=True) if others else first
    return list(found.order_by("-id")[:limit])
