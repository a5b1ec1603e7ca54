"""Which index finds the chosen jobs, in order of their ids. The rest is checked in each row found:
an index for every pair of filters would cost each job more than it gives.
"""

from collections.abc import Collection, Mapping

from django.db import connection
from django.db.models import F, QuerySet, Value
from django.db.models.lookups import GreaterThan

from clients.models import DEFAULT, Client
from jobs.api.pagination import OfMany, Unindexed, with_reference
from jobs.models import Job
from jobs.models.owned import Row

FIELDS = ("reference", "batch", "bulk", "error_code", "client", "vendor", "status")
# In order of preference: the fewest jobs first.
LEADING = (
    ("reference", "client"),
    ("reference",),
    ("batch",),
    ("bulk",),
    ("error_code", "vendor"),
    ("error_code",),
    ("client", "status"),
    ("client", "vendor"),
    ("vendor", "status"),
    ("client",),
    ("vendor",),
    ("status",),
)


def leading(chosen: Collection[str]) -> tuple[str, ...]:
    """Return those of the fields by which an index finds the jobs."""
    return next((names for names in LEADING if set(names) <= set(chosen)), ())


def having(jobs: QuerySet[Job], name: str, value: str) -> QuerySet[Job]:
    """Return the jobs with this value, found by an index. The condition of a partial index is
    repeated, or SQLite's planner does not consider it.
    """
    match name:
        case "reference":
            return with_reference(jobs, value)
        case "batch":
            return jobs.filter(batch=value, batch__gt="")
        case "bulk":
            return jobs.filter(bulk=value, bulk__gt="")
        case "error_code" if connection.vendor != "mongodb":
            is_set = OfMany(GreaterThan(F("error_code"), Value("")))
            return jobs.filter(is_set, error_code=value)
    return jobs.filter(**{name: value})


def of_any_client(jobs: QuerySet[Job]) -> QuerySet[Job]:
    """Name all clients: the index of references begins with the client."""
    clients = {DEFAULT, *Client.objects.values_list("slug", flat=True)}
    return jobs.filter(client__in=clients)


def unindexed(rows: QuerySet[Row], chosen: Mapping[str, str]) -> QuerySet[Row]:
    """Return the rows with these values, without having SQLite consider an index for them."""
    if connection.vendor == "mongodb":
        return rows.filter(**chosen)
    columns = {f"plain_{name}": Unindexed(name) for name in chosen}
    plain = {f"plain_{name}": value for name, value in chosen.items()}
    found: QuerySet[Row] = rows.alias(**columns).filter(**plain)
    return found
