"""The items that a batch already has, from earlier requests with its key or simultaneous ones."""

from collections.abc import Sequence
from typing import NamedTuple

from jobs import batches
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
    refused = {each.batch_index: each for each in _refused(batch_id, first, last)}
    found = {index: Present(refusal.fingerprint, "", refusal) for index, refusal in refused.items()}
    columns = ("batch_index", "fingerprint", "reference")
    jobs = Job.of_batch(batch_id).filter(batch_index__gte=first, batch_index__lte=last)
    for index, fingerprint, reference in jobs.values_list(*columns):
        found[index] = Present(fingerprint, reference, None)
    if any(found[index].refusal is None for index in refused):
        batches.drop_overruled(batch_id, list(refused.values()))  # an upload that died left some
    return found


def drop_overruled(batch_id: str, items: Sequence[Item]) -> bool:
    """Delete refusals of these consecutive items that are jobs; return whether there were any."""
    return batches.drop_overruled(batch_id, _refused(batch_id, items[0].index, items[-1].index))


def _refused(batch_id: str, first: int, last: int) -> Sequence[RefusedItem]:
    bounds = {"pk__gte": f"{batch_id}-{first:05d}", "pk__lte": f"{batch_id}-{last:05d}"}
    return list(RefusedItem.objects.filter(**bounds))
