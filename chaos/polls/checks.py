"""What must hold for the vendors without code, in addition to `chaos.checks`."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from chaos.callbacks import POST_TIMEOUT_SECONDS
from chaos.history import Finding, History, Story
from chaos.plans import error_of, plan_of, run_of
from chaos.polls.definitions import DEFINITIONS
from chaos.polls.plans import NEVER
from chaos.vendors import CALLBACK_TIMEOUT_SECONDS
from jobs.models import UNKNOWN, Attempt
from vendors.definitions.polling import Polling, polling_of

# A poll is claimed, and has its row, before it is permitted and arrives.
ARRIVES_WITHIN_SECONDS = 60.0
CLOCK_SECONDS = 0.1  # by which Redis' clock and the vendor's may seem to differ
# Between two polls if a callback asks for the second: five, but a poll may take long to arrive.
SOON_SECONDS = 3.0
RECORDED_SECONDS = (
    5.0  # within which the answer to a call is recorded; its deadline counts from there
)
COMPLETE = ("found", "no_data")
GAVE_UP = ("poll_gave_up", "callback_overdue")


def that_completed(story: Story) -> list[Attempt]:
    """Return the polls that completed the job: they ended with it."""
    ended_at = story.job.finished_at
    return [row for row in story.poll_rows if row.outcome in COMPLETE and row.ended_at == ended_at]


def may_fail_with(story: Story) -> set[str]:
    """Return the codes with which the job may fail after it was polled."""
    codes = {error_of(asked.mood, is_async=False) for asked in story.polls}
    if story.job.vendor in DEFINITIONS and _waited(story):
        codes |= {"callback_overdue" if "callback" in _definition(story) else "poll_gave_up"}
    return codes & {"bad_reply", *GAVE_UP}


def _definition(story: Story) -> dict[str, object]:
    return DEFINITIONS[story.job.vendor]


def _waited(story: Story) -> bool:
    return any(attempt.outcome == "pending" for attempt in story.attempts)


def wrong_failure(history: History, story: Story) -> Iterator[Finding]:
    """Failures of jobs whose call was accepted, for another reason than that no answer came."""
    job, attempts = story.job, story.attempts_of(story.job.run)
    polls = [row for row in story.poll_rows if row.number == job.attempt]
    if not attempts or attempts[-1].outcome != "pending":
        return
    if job.error_code not in may_fail_with(story):
        yield job.pk, f"failed as {job.error_code} while it waited for an answer"
    plan = plan_of(history.seed, story.serial, job.vendor)
    if job.error_code in GAVE_UP and plan.ending_of(job.run) != NEVER:
        last = max(polls, key=lambda row: row.started_at, default=None)
        outcome = last.outcome if last else "no poll"
        if outcome in (*COMPLETE, "pending", "no poll", UNKNOWN):
            yield job.pk, f"failed as {job.error_code} after {outcome}, though there was an answer"


def unexplained(history: History) -> Iterator[Finding]:
    """Polls at the vendor that no attempt explains, and attempts without an end whose worker
    lives.
    """
    ended = {end.pid for end in history.journal.ends}
    for story in history.stories.values():
        for run in range(1, story.job.run + 1):
            yield from _unexplained(story, run)
        for row in story.poll_rows:
            if row.outcome == UNKNOWN and int(row.worker.rsplit("-", 2)[1]) not in ended:
                yield story.job.pk, f"a poll of {row.worker}, which was healthy, has no end"


def _unexplained(story: Story, run: int) -> Iterator[Finding]:
    """Match each poll with the first row that may explain it."""
    started = sorted(row.started_at.timestamp() for row in story.poll_rows if row.run == run)
    for at in sorted(asked.at for asked in story.polls if run_of(asked.key) == run):
        while started and started[0] + ARRIVES_WITHIN_SECONDS < at:
            started.pop(0)
        if not started or started[0] - CLOCK_SECONDS > at:
            yield story.job.pk, f"run {run} was polled at {at:.3f} without an attempt"
        else:
            started.pop(0)


def too_often(history: History) -> Iterator[Finding]:
    """Polls sooner after the call or the last poll than the definition says, unless a callback
    asked for them. The last poll comes at the deadline, however soon that is.
    """
    for story in history.stories.values():
        if story.polls and (polling := polling_of(DEFINITIONS[story.job.vendor])):
            for arrival in story.arrivals:
                call = (arrival.key, arrival.number)
                polls = [each for each in story.polls if (each.key, each.number) == call]
                times = [arrival.at, *sorted(each.at for each in polls)]
                yield from _too_often(story, polling, times, _asked_at(story, call))


def _asked_at(story: Story, call: tuple[str, int]) -> float:
    """Return when the first callback may have arrived that makes the vendor be polled."""
    if story.job.vendor not in ("thin", "confirmed"):
        return float("inf")
    times = [
        each.at
        for each in story.callbacks
        if (each.key, each.number) == call and not each.kind.startswith("forged")
    ]
    return min(times, default=float("inf")) - POST_TIMEOUT_SECONDS - CLOCK_SECONDS


def _too_often(
    story: Story, polling: Polling, times: list[float], asked_at: float
) -> Iterator[Finding]:
    least_seconds = polling.after_seconds
    deadline = times[0] + (polling.give_up_seconds or CALLBACK_TIMEOUT_SECONDS)
    for number, (before, at) in enumerate(pairwise(times)):
        if at >= asked_at:
            least_seconds = min(least_seconds, 0 if number == 0 else SOON_SECONDS)
        if story.job.vendor == "confirmed" and number > 0:
            least_seconds = polling.every_seconds
        is_last = before < deadline + RECORDED_SECONDS and at >= deadline
        if at - before < least_seconds - CLOCK_SECONDS and not is_last:
            yield story.job.pk, f"was polled after {at - before:.2f} s, not {least_seconds:g} s"
        least_seconds = polling.every_seconds


def never_matched(history: History) -> Iterator[Finding]:
    """Callbacks without a job, though its attempt names their reference, or without a verdict."""
    named = {
        (attempt.vendor, attempt.vendor_reference): attempt.job
        for story in history.stories.values()
        for attempt in story.attempts
        if attempt.vendor_reference
    }
    for callback in history.unmatched:
        if job_id := named.get((callback.vendor, callback.vendor_reference)):
            yield job_id, f"a callback of {callback.received_at} was never matched"
    for story in history.stories.values():
        for callback in story.stored_callbacks:
            if not callback.verdict:
                yield story.job.pk, f"a callback of {callback.received_at} has no verdict"


CHECKS: dict[str, Callable[[History], Iterator[Finding]]] = {
    "unexplained polls": unexplained,
    "polled too often": too_often,
    "callbacks never matched": never_matched,
}
