"""Pages of jobs, newest first. The id sorts by time and alone gives the order, so that a page stays
put while jobs arrive.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.core import signing
from django.db import connection
from django.db.models import Q

from jobs.models import Job, Status

SALT = "jobs.api.pagination"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = (
    "status",
    "vendor",
    "name",
    "attempt",
    "run",
    "error_code",
    "error_message",
    "created_at",
    "started_at",
    "finished_at",
)


def cursor_after(job_id: str) -> str:
    """Return the cursor of the page that follows this job."""
    return signing.dumps(job_id, salt=SALT)


def position(cursor: str) -> str:
    """Return the id of the job that the cursor's page follows. Raises
    django.core.signing.BadSignature.
    """
    return str(signing.loads(cursor, salt=SALT))


def first_id_at(moment: datetime) -> str:
    """Return the lowest id that a job made at `moment` or later can have; ids count whole
    milliseconds.
    """
    milliseconds = -((EPOCH - moment) // timedelta(milliseconds=1))
    return str(UUID(int=max(0, milliseconds) << 80))


def newest(
    statuses: tuple[Status, ...], bounds: dict[str, str], vendor: str | None, limit: int
) -> list[dict[str, Any]]:
    """Return the columns of at most `limit` jobs: of any of `statuses` (empty: all), with ids
    within `bounds` (gte, lt).
    """
    where = Q(**{f"id__{bound}": job_id for bound, job_id in bounds.items()})
    if vendor is not None:
        where &= Q(vendor=vendor)
    # A status at a time: SQLite merges what it reads in order from the index, but would sort what
    # `IN` finds. On MongoDB it is the other way round.
    if connection.vendor == "mongodb":
        each = [where & Q(status__in=statuses)] if statuses else [where]
    else:
        each = [where & Q(status=status) for status in statuses] or [where]
    first, *others = [Job.objects.filter(one).values("id", *COLUMNS) for one in each]
    found = first.union(*others, all=True) if others else first
    return list(found.order_by("-id")[:limit])
