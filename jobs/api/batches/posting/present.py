"""The items that a batch already has, from earlier requests with its key or simultaneous ones."""

from collections.abc import Sequence
from typing import NamedTuple

from jobs.api.batches.posting.items import Item
from jobs.models import Job, RefusedItem


class Present(NamedTuple):
    fingerprint: str
    reference: str  # of the job; '' if it has none, or was refused
    refusal: RefusedItem | None  # None: it is a job


def read_present(batch_id: str, items: Sequence[Item]) -> dict[int, Present]:
    """Return those of these consecutive items that the store has, by index."""
    if not items:
        return {}
    first, last = items[0].index, items[-1].index
    found = {
        refusal.batch_index: Present(refusal.fingerprint, "", refusal)
        for refusal in _refused(batch_id, first, last)
    }
    columns = ("batch_index", "fingerprint", "reference")
    jobs = Job.of_batch(batch_id).filter(batch_index__gte=first, batch_index__lte=last)
    for index, fingerprint, reference in jobs.values_list(*columns):
        found[index] = Present(fingerprint, reference, None)
    return found


def drop_overruled(batch_id: str, items: Sequence[Item]) -> bool:
    """Delete refusals of items that are jobs. Returns whether there were any.

    It happens when a vendor is disabled or enabled between two uploads of the same item. Both call
    this after they have written, so whoever was last finds the other's row. The job stays: a
    worker may have it already.
    """
    refused = _refused(batch_id, items[0].index, items[-1].index)
    if not refused:
        return False
    jobs = Job.of_batch(batch_id).filter(batch_index__in=[each.batch_index for each in refused])
    indexes = set(jobs.values_list("batch_index", flat=True))
    overruled = [each.pk for each in refused if each.batch_index in indexes]
    if overruled:
        RefusedItem.objects.filter(pk__in=overruled).delete()
    return bool(overruled)


def _refused(batch_id: str, first: int, last: int) -> Sequence[RefusedItem]:
    bounds = {"pk__gte": f"{batch_id}-{first:05d}", "pk__lte": f"{batch_id}-{last:05d}"}
    return list(RefusedItem.objects.filter(**bounds))
