"""The search of jobs, by id, by reference, and by the beginning of a name; and that of
batches, by id and by reference.
"""

import re
from uuid import UUID

from django.db import connection
from django.db.models import F, QuerySet, Value
from django.db.models.lookups import GreaterThanOrEqual, LessThan

from clients.models import DEFAULT, Client
from jobs.api.pagination import OfFew, with_reference
from jobs.models import Batch, Job

MAX_FOUND = 1000  # rows with one reference
WINDOW = 20_000  # newest jobs that are searched for the end of an id
SHORT_ID = re.compile("[0-9a-fA-F]{12}")
LAST_CHARACTER = "\U0010ffff"


def search(jobs: QuerySet[Job], term: str, *, by_name: bool = True) -> QuerySet[Job]:
    """Return those of the jobs that have the term as id (or as the end of one, as lists show it)
    or reference, or a name that begins with it. Each query reads one index, in its order.
    `by_name`: False for a person who may not see names, and could guess them so.
    """
    by_reference = _ids_with_reference(Job, term) + _ids_ending_with(term)
    if job_id := _as_id(term):
        return (
            jobs.filter(pk__in=[job_id, *by_reference]) if by_reference else jobs.filter(pk=job_id)
        )
    if not by_name:
        return jobs.filter(pk__in=by_reference)
    named = _named(jobs, term).order_by("name")
    if not by_reference:
        return named
    ids = named.values_list("pk", flat=True)[:MAX_FOUND]
    return jobs.filter(pk__in={*by_reference, *ids})


def search_batches(batches: QuerySet[Batch], term: str) -> QuerySet[Batch]:
    """Return those of the batches that have the term as id or reference."""
    return batches.filter(pk__in=[_as_id(term), *_ids_with_reference(Batch, term)])


def _named(jobs: QuerySet[Job], term: str) -> QuerySet[Job]:
    """Return the jobs whose name begins with the term."""
    end = term + LAST_CHARACTER
    if connection.vendor == "mongodb":
        return jobs.filter(name__gte=term, name__lt=end)
    # So that SQLite prefers the index of names to that of a filter, whose rows it would sort.
    name = F("name")
    is_after, is_before = GreaterThanOrEqual(name, Value(term)), LessThan(name, Value(end))
    return jobs.filter(OfFew(is_after), OfFew(is_before))


def _ids_with_reference(model: type[Job] | type[Batch], term: str) -> list[str]:
    """Return the ids of the rows, of any client, that have exactly this reference."""
    # The index of references begins with the client. The console's users see all clients.
    clients = {DEFAULT, *Client.objects.values_list("slug", flat=True)}
    rows = with_reference(model._default_manager.filter(client__in=clients), term)
    return list(rows.values_list("pk", flat=True)[:MAX_FOUND])


def _ids_ending_with(term: str) -> list[str]:
    """Return the ids, of the newest jobs, with these last digits."""
    digits = term.removeprefix("…")
    if not SHORT_ID.fullmatch(digits):
        return []
    ids = Job.objects.order_by("-pk").values_list("pk", flat=True)
    oldest = next(iter(ids[WINDOW - 1 : WINDOW]), "")
    return list(ids.filter(pk__gte=oldest, pk__endswith=digits.lower())[:MAX_FOUND])


def is_id(term: str) -> bool:
    return bool(_as_id(term))


def _as_id(term: str) -> str:
    """Return the id that the term is a spelling of; '' if it is none."""
    try:
        return str(UUID(term))
    except ValueError:
        return ""
