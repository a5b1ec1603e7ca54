"""What is known about a batch at the end of a campaign: what its client meant and saw, and what the
store holds.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from chaos.batches.parcel import Parcel
from chaos.client import Posted
from jobs.models import Batch, Job, RefusedItem

CHUNK = 2000


@dataclass
class BatchStory:
    parcel: Parcel
    rows: list[Batch] = field(default_factory=list)  # one, if all is well
    jobs: Mapping[int, Sequence[Job]] = field(default_factory=dict)  # by index
    refused: Mapping[int, Sequence[RefusedItem]] = field(default_factory=dict)  # by index

    @property
    def name(self) -> str:
        """The batch's id, or its number as long as it has none."""
        return self.rows[0].pk if self.rows else f"none ({self.parcel.draft.reference})"

    @property
    def indexes(self) -> set[int]:
        return {*self.jobs, *self.refused}

    def requests(self) -> Iterator[Posted]:
        """Yield what was promised about each of its jobs, in terms of single jobs."""
        draft, sent = self.parcel.draft, self.parcel.sent
        for item in draft.items:
            for job in self.jobs.get(item.index, ()):
                posted = Posted(item.serial, item.vendor, sent[0].at, sent[0].api, job_id=job.pk)
                posted.answer, posted.client = f"batch {job.batch}", draft.client
                posted.options, posted.may_be_cancelled = item.options, self.parcel.cancel_requested
                yield posted


def read(parcels: Iterable[Parcel], jobs: Iterable[Job]) -> tuple[list[BatchStory], list[Batch]]:
    """Return the stories of the batches, and the rows of those that nobody posted."""
    stories = {(parcel.draft.client, parcel.draft.key): BatchStory(parcel) for parcel in parcels}
    unknown = []
    of_batch: dict[str, dict[int, list[Job]]] = defaultdict(lambda: defaultdict(list))
    for job in jobs:
        if job.batch and job.batch_index is not None:
            of_batch[job.batch][job.batch_index].append(job)
    refused: dict[str, dict[int, list[RefusedItem]]] = defaultdict(lambda: defaultdict(list))
    for item in RefusedItem.objects.iterator(CHUNK):
        refused[item.batch][item.batch_index].append(item)
    for batch in Batch.objects.iterator(CHUNK):
        story = stories.get((batch.client, batch.idempotency_key or ""))
        if story is None or story.rows:
            unknown.append(batch)
            continue
        story.rows.append(batch)
        story.jobs, story.refused = of_batch[batch.pk], refused[batch.pk]
    return list(stories.values()), unknown
