"""Rows that are some days old, by id and by time, and the command that deletes them."""

from datetime import timedelta
from io import StringIO
from uuid import UUID

from django.core.management import call_command
from django.utils import timezone

from jobs.api.pagination import first_id_at
from jobs.models import Attempt, Batch, Callback, Job, RefusedItem
from vendors.models import new_id

DAY = timedelta(days=1)


def id_at(moment):
    """Return an id made at that moment."""
    return str(UUID(int=UUID(first_id_at(moment)).int | UUID(new_id()).int & (1 << 64) - 1))


def run(*arguments):
    """Run prune as a script would. Return its output."""
    out = StringIO()
    call_command("prune", *arguments, stdout=out)
    return out.getvalue()


def all_ids():
    models = (Job, Attempt, Callback, Batch, RefusedItem)
    return {pk for model in models for pk in model.objects.values_list("pk", flat=True)}


def make_attempt(job, days=40.0, **fields):
    at = timezone.now() - days * DAY
    defaults = {"id": id_at(at), "vendor": "acme", "run": 1, "number": 1, "worker": "w"}
    times = {"started_at": at, "ended_at": at}
    return Attempt.objects.create(job=job, outcome="done", **{**defaults, **fields}, **times)


def make_callback(job, days=40.0, **fields):
    at = timezone.now() - days * DAY
    pk = id_at(at)
    defaults = {"id": pk, "key": pk, "vendor": "acme", "verdict": "unmatched"}
    content = {"body": {"info": "x"}, "body_bytes": 12, "received_at": at}
    return Callback.objects.create(job=job, **{**defaults, **fields}, **content)


def make_batch(state="finished", days=40.0, refused=0, finished_days=None):
    """Make a batch with refused items."""
    at = timezone.now() - days * DAY
    batch = Batch(id=id_at(at), state=state, created_at=at, received_at=at, sealed_at=at)
    if state == "finished":
        batch.finished_at = timezone.now() - (finished_days or days) * DAY
    batch.save(force_insert=True)
    items = [RefusedItem.new(batch.pk, number, 422, "x", "x") for number in range(refused)]
    RefusedItem.objects.bulk_create(items)
    return batch
