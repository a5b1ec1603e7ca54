"""Finds out in one query which of many batches have open jobs."""

from collections.abc import Sequence

from django.db import connection
from django.db.models import Exists, OuterRef

from jobs.models import OPEN, Batch, Job


def batches_with_open_jobs(batch_ids: Sequence[str]) -> set[str]:
    """Return those of the batches that have open jobs. For each, an index is looked at once."""
    if connection.vendor == "mongodb":
        return _on_mongodb(batch_ids)
    jobs = Job.objects.filter(batch=OuterRef("pk"), batch__gt="", status__in=OPEN)
    batches = Batch.objects.filter(Exists(jobs), pk__in=batch_ids)
    return set(batches.values_list("pk", flat=True))


def _on_mongodb(batch_ids: Sequence[str]) -> set[str]:
    # The backend would compare the columns in an expression, which no partial index can serve, and
    # do so for all batches before it selects some.
    open_job = [
        {"$match": {"batch": {"$gt": ""}, "status": {"$in": list(OPEN)}}},
        {"$limit": 1},
        {"$project": {"_id": 1}},
    ]
    jobs = {"from": Job._meta.db_table, "localField": "_id", "foreignField": "batch"}
    collection = connection.get_collection(Batch._meta.db_table)  # type: ignore[attr-defined]  # MongoDB's
    found = collection.aggregate(
        [
            {"$match": {"_id": {"$in": list(batch_ids)}}},
            {"$lookup": {**jobs, "pipeline": open_job, "as": "open"}},
            {"$match": {"open": {"$ne": []}}},
            {"$project": {"_id": 1}},
        ]
    )
    return {document["_id"] for document in found}
