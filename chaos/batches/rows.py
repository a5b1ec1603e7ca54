"""What the report says about batches, apart from the checks."""

from collections import Counter
from collections.abc import Iterator, Sequence

from chaos.batches.story import BatchStory


def rows(stories: Sequence[BatchStory]) -> Iterator[tuple[str, str]]:
    parcels = [story.parcel for story in stories]
    sent = [each for parcel in parcels for each in parcel.sent]
    others = Counter(f"{each.answer} {each.code}".strip() for each in sent if not each.is_accepted)
    kinds = Counter(parcel.draft.manner or "plain" for parcel in parcels)
    items = sum(len(parcel.draft.items) for parcel in parcels)
    jobs = sum(len(story.jobs) for story in stories)
    refused = sum(len(story.refused) for story in stories)
    yield "batches", f"{len(parcels)}: {_counted(kinds)}"
    yield "batch items", f"{items}: {jobs} jobs, {refused} refused"
    yield "uploads", f"{len(sent)}, {sum(each.is_replay for each in sent)} answered as replays"
    yield "other answers to uploads", _counted(others)
    yield "results read before the end", str(sum(len(each.partial_indexes) for each in parcels))


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(names.items())) or "none"
