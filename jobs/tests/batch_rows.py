"""Batches with their jobs and refused items."""

from datetime import UTC, datetime

from jobs.models import FINAL, Batch, Job, RefusedItem, State

ENDED = datetime(2026, 5, 1, 12, tzinfo=UTC)


def make_batch(*statuses: str, vendor: str = "acme", **fields) -> Batch:
    """Make a running batch with an item for each status; `refused` is no job's."""
    batch = Batch.new(fields.pop("client", "default"))
    for name, value in {"state": State.RUNNING, "sealed_at": batch.created_at, **fields}.items():
        setattr(batch, name, value)
    batch.save(force_insert=True)
    for index, status in enumerate(statuses):
        add_item(batch, index, status, vendor=vendor)
    return batch


def add_item(batch: Batch, index: int, status: str, **fields) -> Job | None:
    if status == "refused":
        RefusedItem.new(batch.pk, index, 400, "unknown_vendor", "No.").save(force_insert=True)
        return None
    fields = {"vendor": "acme", "input": {}, "client": batch.client, **fields}
    if status in FINAL:
        fields = {"finished_at": ENDED, "queued_at": ENDED, **fields}
    job = Job.new(status=status, batch=batch.pk, batch_index=index, **fields)
    job.save(force_insert=True)
    return job


def now_stored(batch: Batch) -> Batch:
    return Batch.objects.get(pk=batch.pk)


def statuses_of(batch: Batch) -> list[str]:
    """Return the statuses of its jobs in the order of their indexes."""
    jobs = Job.of_batch(batch.pk).order_by("batch_index")
    return list(jobs.values_list("status", flat=True))
