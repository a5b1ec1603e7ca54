"""What must hold for the batches of any campaign. Each check yields its violations, by job or by
batch.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from chaos.batches import files
from chaos.batches.story import BatchStory
from chaos.history import Finding, History
from jobs.models import State, Status

# A job of a cancelled batch that was being called may be queued again, and is cancelled then.
CANCEL_SECONDS = 10.0


def lost(history: History) -> Iterator[Finding]:
    """Items of a sealed batch that are neither jobs nor refused, or that its file lacks."""
    for story in history.batches:
        if not story.parcel.is_sealed:
            continue
        stored = story.indexes
        expected = {item.index for item in story.parcel.draft.items}
        if story.parcel.cancel_requested:
            expected = set(range(len(stored)))  # all before the one at which it was sealed
        for index in sorted(expected - stored):
            yield story.name, f"item {index} was uploaded and does not exist"
        for index in sorted(stored - files.indexes(story)):
            yield story.name, f"item {index} is not in the results"


def doubled(history: History) -> Iterator[Finding]:
    """Items that exist twice or that nobody uploaded, and batches of that kind."""
    for batch in history.unknown_batches:
        yield batch.pk, f"is another batch of {batch.client}'s key {batch.idempotency_key}"
    for story in history.batches:
        draft = story.parcel.draft
        ids = {sent.batch_id for sent in story.parcel.sent if sent.batch_id}
        ids |= {batch.pk for batch in story.rows} | set(story.parcel.listed)
        if len(ids) > 1:
            yield story.name, f"{draft.reference} has {len(ids)} ids: {', '.join(sorted(ids))}"
        for index in sorted(story.indexes):
            rows = [*story.jobs.get(index, ()), *story.refused.get(index, ())]
            if len(rows) > 1 or index >= len(draft.items):
                yield story.name, f"item {index} has {len(rows)} rows of {len(draft.items)} items"
        for index, count in Counter(files.all_indexes(story)).items():
            if count > 1:
                yield story.name, f"item {index} is {count} times in the results"


def out_of_order(history: History) -> Iterator[Finding]:
    """Results that are not in the order of the items, also before the batch was finished."""
    for story in history.batches:
        for found in (files.all_indexes(story), *story.parcel.partial_indexes):
            if any(index > later for index, later in zip(found, found[1:], strict=False)):
                yield story.name, f"its results are in the order {found}"


def wrong(history: History) -> Iterator[Finding]:
    """Items with another outcome than their own, in the rows, the files or the counts."""
    for story in history.batches:
        yield from _wrong_items(story)
        yield from _wrong_answers(story)
        yield from files.wrong(story, history.seed)
        yield from _wrong_actions(history, story)


def _wrong_items(story: BatchStory) -> Iterator[Finding]:
    """Items that are another item's, or were refused or accepted without reason."""
    for item in story.parcel.draft.items:
        for job in story.jobs.get(item.index, ()):
            if item.code:
                yield job.pk, f"item {item.index} was to be refused as {item.code}"
            if (job.input.get("serial"), job.reference) != (
                item.serial,
                item.options["reference"],
            ):
                yield job.pk, f"item {item.index} is {job.input} of {job.reference}"
        for row in story.refused.get(item.index, ()):
            if row.code != item.code:
                expected = item.code or "accepted"
                yield story.name, f"item {item.index} is {row.code}; expected: {expected}"


def _wrong_answers(story: BatchStory) -> Iterator[Finding]:
    """Uploads whose answers count the items otherwise than the rows do."""
    if story.parcel.cancel_requested:
        return
    expected = (len(story.parcel.draft.items), len(story.jobs), len(story.refused))
    for sent in story.parcel.sent:
        if sent.is_accepted and sent.counts != expected:
            yield story.name, f"an upload was answered with {sent.counts}; its rows are {expected}"


def _wrong_actions(history: History, story: BatchStory) -> Iterator[Finding]:
    """Jobs that a confirmed cancel or retry left as they were."""
    parcel = story.parcel
    for jobs in story.jobs.values():
        for job in jobs:
            if parcel.retried and job.status == Status.FAILED:
                yield job.pk, "its batch was retried, and it is failed"
            # A later run was asked for: the operator retries what has failed, whatever its batch.
            first_run = history.stories[job.pk].attempts_of(1)
            starts = [attempt.started_at.timestamp() for attempt in first_run]
            if parcel.cancelled_at and max(starts, default=0) > (
                parcel.cancelled_at + CANCEL_SECONDS
            ):
                yield job.pk, "its batch was cancelled long before it was started"


def stuck(history: History) -> Iterator[Finding]:
    """Batches that were not sealed, finished or readable in the end."""
    for story in history.batches:
        parcel = story.parcel
        if not parcel.is_sealed:
            last = parcel.sent[-1] if parcel.sent else None
            words = f"{last.answer} {last.code}" if last else "nothing"
            yield story.name, f"was never accepted: at last {words}"
            continue
        state = parcel.shown.get("state", "unreadable")
        if state != State.FINISHED or parcel.shown.get("pending_action"):
            yield story.name, f"is {state}, pending {parcel.shown.get('pending_action')}"
        if parcel.lines is None or parcel.cells is None:
            yield story.name, "its results can't be read"
        if parcel.draft.manner == "retry" and not parcel.retried:
            yield story.name, f"can't be retried: {parcel.refusal}"
        if parcel.listed != [story.rows[0].pk]:
            yield story.name, f"its client's list has {parcel.listed}"


CHECKS: dict[str, Callable[[History], Iterator[Finding]]] = {
    "batch items lost": lost,
    "batch items doubled": doubled,
    "batch items out of order": out_of_order,
    "batch items wrong": wrong,
    "batches stuck": stuck,
}
