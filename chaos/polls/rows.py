"""What a campaign's polls and callbacks came to, for its table."""

from collections import Counter
from collections.abc import Iterator

from chaos.history import History, Story
from chaos.polls.checks import GAVE_UP, that_completed
from chaos.polls.definitions import DEFINITIONS
from jobs.models import Verdict


def rows(history: History) -> Iterator[tuple[str, str]]:
    stories = [each for each in history.stories.values() if each.job.vendor in DEFINITIONS]
    outcomes = Counter(row.outcome for story in stories for row in story.poll_rows)
    verdicts = Counter(
        each.verdict or "none" for story in stories for each in story.stored_callbacks
    )
    by_poll = sum(bool(that_completed(story)) for story in stories)
    by_callback = sum(
        any(each.verdict == Verdict.APPLIED for each in story.stored_callbacks) for story in stories
    )
    yield "jobs of vendors without code", _counted(Counter(story.job.vendor for story in stories))
    yield "outcomes of them", _counted(Counter(story.job.outcome or "none" for story in stories))
    yield "completed", f"{by_poll} by polls, {by_callback} by callbacks to those vendors"
    yield "given up", f"{sum(map(_gave_up, stories))} in their first run"
    yield "polls", f"{sum(len(story.polls) for story in stories)}: {_counted(outcomes)}"
    yield "callbacks of those vendors", _counted(verdicts)


def _gave_up(story: Story) -> bool:
    """Whether its first run waited until its deadline, as far as its rows tell."""
    accepted = any(attempt.outcome == "pending" for attempt in story.attempts_of(1))
    return accepted and (story.job.run > 1 or story.job.error_code in GAVE_UP)


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {word}" for word, count in counts.most_common()) or "none"
