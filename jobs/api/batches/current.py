"""Finds a batch as it is now, with the numbers of its items."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from django.db.models import Count

from clients.directory import Caller
from jobs import batches
from jobs.api.base import ID
from jobs.api.batches.serializers import COUNTED, REFUSED
from jobs.api.problems import Problem
from jobs.api.serializers import OUTWARD
from jobs.models import OPEN, Batch, Job, RefusedItem, State, Status


@dataclass(frozen=True)
class Items:
    """How many items a batch has by status, for which vendors, and whether a job is open."""

    counts: dict[str, int]
    vendors: frozenset[str]
    are_open: bool


def find(batch_id: str, caller: Caller) -> tuple[Batch, Items]:
    """Return the caller's batch and its items. Raises Problem if it does not exist, or has jobs for
    vendors that the caller may not use.

    The end of the last job is not announced: whoever looks finishes the batch.
    """
    batch_id = batch_id.lower()
    try:
        if ID.fullmatch(batch_id):
            batch = Batch.owned.by(caller.client).get(pk=batch_id)
            items = _items_of(batch_id)
            if all(map(caller.may_use, items.vendors)):
                return _settled(batch, items), items
    except Batch.DoesNotExist:
        pass
    raise Problem("not_found", 404, "There is no batch with this id.")


def only_for(found: Iterable[Batch], vendors: Collection[str] | None) -> list[Batch]:
    """Return those of the batches whose jobs are all for these vendors (None: any)."""
    if vendors is None:
        return list(found)
    return [batch for batch in found if not _has_others(batch.pk, vendors)]


def _items_of(batch_id: str) -> Items:
    # The index has all that is asked for, so no job is read.
    groups = Job.of_batch(batch_id).order_by().values_list("status", "vendor")
    counts, vendors, are_open = dict.fromkeys(COUNTED, 0), set(), False
    for status, vendor, count in groups.annotate(count=Count("*")):
        counts[OUTWARD[Status(status)]] += count
        vendors.add(vendor)
        are_open |= status in OPEN
    counts[REFUSED] = RefusedItem.of_batch(batch_id).count()
    return Items(counts, frozenset(vendors), are_open)


def _settled(batch: Batch, items: Items) -> Batch:
    """Return the batch in the state that its items show."""
    if batch.state == State.RUNNING and not items.are_open and not batch.retry_requested_at:
        batches.finish(batch)
    elif batch.state == State.FINISHED and items.are_open:
        batches.resume(batch.pk)
    else:
        return batch
    return Batch.owned.by(batch.client).get(pk=batch.pk)


def _has_others(batch_id: str, vendors: Collection[str]) -> bool:
    jobs = Job.of_batch(batch_id).filter(status__in=Status.values)
    # An index finds each gap between these vendors; `exclude` would read all of its entries.
    names = sorted(vendors)
    gaps = [jobs.filter(vendor__gt=low, vendor__lt=high) for low, high in pairwise(["", *names])]
    gaps.append(jobs.filter(vendor__gt=names[-1]) if names else jobs)
    return any(gap.exists() for gap in gaps)
