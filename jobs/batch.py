"""Writes of a whole batch. On SQLite they share a commit, one statement a row; on MongoDB they share a round trip.

MongoDB says of a batch how many of its updates found their row, not which. Each therefore leaves a token of its own in the row
that it changes, and where some found none, one read tells whose are there. It also tells so when a batch is written again whose
answer was lost: an update that had happened is not refused for having happened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError

from jobs.models import Attempt, Job

DUPLICATE_KEY = 11000
FIELDS = {field.name: field for field in Job._meta.concrete_fields}  # but for the id, columns are called as they are


@dataclass(frozen=True)
class Update:
    """A change of one job, made if it still is as `condition` says; `token` names this update and no other."""

    job_id: str
    condition: dict[str, Any]
    changes: dict[str, Any]
    token: str

    @property
    def rows(self) -> QuerySet[Job]:
        return Job.objects.filter(pk=self.job_id, **self.condition)


def update_each(updates: Sequence[Update]) -> list[bool]:
    """Make the updates and return for each whether it found its row."""
    if not updates:
        return []  # which MongoDB's driver takes for a mistake
    if connection.vendor == "mongodb":
        return _update_each_on_mongodb(updates)
    return [update.rows.update(**update.changes) == 1 for update in updates]


def insert_each(attempts: Sequence[Attempt]) -> None:
    """Insert the attempts. On MongoDB those that are there already stay: then the batch is written again."""
    if connection.vendor != "mongodb":
        Attempt.objects.bulk_create(attempts)
        return
    try:
        _collection(Attempt).insert_many([_document(attempt) for attempt in attempts], ordered=False)
    except BulkWriteError as error:
        if error.details["writeConcernErrors"] or any(fault["code"] != DUPLICATE_KEY for fault in error.details["writeErrors"]):
            raise


def _update_each_on_mongodb(updates: Sequence[Update]) -> list[bool]:
    jobs = _collection(Job)
    if jobs.bulk_write([_operation(update) for update in updates], ordered=False).matched_count == len(updates):
        return [True] * len(updates)
    left = jobs.find({"_id": {"$in": [update.job_id for update in updates]}}, ["run_token"])
    tokens = {document["run_token"] for document in left}
    return [update.token in tokens for update in updates]


def _operation(update: Update) -> UpdateOne:
    changes = {**update.changes, "run_token": update.token}
    values = {name: FIELDS[name].get_db_prep_save(value, connection) for name, value in changes.items()}
    rows = update.rows
    return UpdateOne(rows.query.get_compiler(rows.db).build_query().match_mql, {"$set": values})


def _document(attempt: Attempt) -> dict[str, Any]:
    fields = attempt._meta.concrete_fields
    return {str(field.column): field.get_db_prep_save(getattr(attempt, field.attname), connection) for field in fields}


def _collection(model: type[Job | Attempt]) -> Any:
    return connection.get_collection(model._meta.db_table)  # type: ignore[attr-defined]  # the MongoDB backend's own
