"""What must hold after any campaign. Each check yields its violations, by job."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.conf import settings

from chaos import promises
from chaos.batches import checks as batches
from chaos.history import Finding, History, Story
from chaos.limits import checks as keys
from chaos.limits import in_flight
from chaos.plans import error_of, may_fail_with, plan_of
from chaos.polls import checks as polls
from chaos.polls.definitions import DEFINITIONS
from chaos.polls.results import expected_of, is_as_expected
from chaos.vendors import MAX_ATTEMPTS, VENDORS
from jobs.models import FINAL, Attempt, Status, Verdict

# The worker or the response was lost during the call: the vendor may have done the work.
UNKNOWN = {"worker_lost", "worker_stopped", "timeout", "connection_lost", "bad_reply"}
# What a fault of the campaign can make any job fail with, once its attempts are used up.
BY_FAULTS = {
    "vendor_error",
    "vendor_unreachable",
    "timeout",
    "connection_lost",
    "auth",
    "worker_lost",
}
MARGIN_SECONDS = 1.0


def lost(history: History) -> Iterator[Finding]:
    """Accepted jobs that are not in the store."""
    for posted in history.posted:
        if posted.job_id and posted.job_id not in history.stories:
            yield posted.job_id, f"job {posted.serial} was accepted and does not exist"


def stuck(history: History) -> Iterator[Finding]:
    for job_id, story in history.stories.items():
        if story.job.status not in FINAL:
            yield job_id, f"still {story.job.status}"


def recorded_twice(history: History) -> Iterator[Finding]:
    for job_id, story in history.stories.items():
        ends = Counter(each.run for each in story.attempts if each.outcome in ("found", "no_data"))
        ends += Counter(each.run for each in polls.that_completed(story))
        ends += Counter(
            int(each.run or 0) for each in story.stored_callbacks if each.verdict == Verdict.APPLIED
        )
        numbers = Counter(attempt.number for attempt in story.attempts)
        if twice := [run for run, count in ends.items() if count > 1]:
            yield job_id, f"run {twice[0]} was completed {ends[twice[0]]} times"
        if twice := [number for number, count in numbers.items() if count > 1]:
            yield job_id, f"attempt {twice[0]} was recorded {numbers[twice[0]]} times"


def wrong(history: History) -> Iterator[Finding]:
    """Not the result or status that the vendor's answers and the client's requests call for."""
    for job_id, story in history.stories.items():
        job = story.job
        if story.posted and story.posted.cancelled and job.status != Status.CANCELLED:
            yield job_id, f"its client was promised cancellation, but it is {job.status}"
        if story.posted and story.posted.retried and job.run == 1:
            yield job_id, "its client was promised a retry, but there was none"
        match job.status:
            case Status.COMPLETE:
                yield from _wrong_result(history, story)
            case Status.FAILED:
                yield from _wrong_failure(history, story)
            case Status.CANCELLED if not _may_be_cancelled(history, story):
                yield job_id, "cancelled without a request"


def _may_be_cancelled(history: History, story: Story) -> bool:
    if story.posted and story.posted.may_be_cancelled:
        return True
    return plan_of(history.seed, story.serial, story.job.vendor).client == "cancel"


def _wrong_result(history: History, story: Story) -> Iterator[Finding]:
    job = story.job
    expected = expected_of(
        history.seed, job.vendor, job.call_key, name=job.name, serial=story.serial
    )
    outcome = "found" if expected else "no_data"
    if not is_as_expected(job.result, expected) or job.error_code or job.outcome != outcome:
        yield job.pk, f"its result is {job.outcome} {job.result}; expected {outcome} {expected}"


def _wrong_failure(history: History, story: Story) -> Iterator[Finding]:
    job = story.job
    if job.vendor in DEFINITIONS:
        yield from polls.wrong_failure(history, story)
    vendor = VENDORS[job.vendor]
    repeats = {
        name: vendor.fields[name]
        for name in ("repeat_unknown", "repeat_overdue")
        if name in vendor.fields
    }
    plan = plan_of(history.seed, story.serial, job.vendor)
    allowed = may_fail_with(plan, run=job.run, max_attempts=MAX_ATTEMPTS, **repeats) | BY_FAULTS
    allowed |= {error_of(mood, is_async=vendor.adapter == "async") for mood in plan.moods}
    if not repeats.get("repeat_unknown", True):
        allowed |= {"outcome_unknown"}
    if vendor.adapter == "async":
        allowed |= {"callback_overdue"}
    if story.posted and "expires_in" in story.posted.options:
        allowed |= {promises.EXPIRED}
    allowed = allowed - {"rate_limited", "no_credits"} | polls.may_fail_with(story)
    if job.error_code not in allowed or not job.error_message:
        yield job.pk, f"failed as {job.error_code!r} without a reason"
    if (
        job.error_code == "callback_overdue"
        and job.vendor not in DEFINITIONS
        and (seconds := _seconds_accepted_before_failure(story))
    ):
        yield (
            job.pk,
            f"failed as callback_overdue {seconds:.1f} s after its callback was accepted",
        )


def _seconds_accepted_before_failure(story: Story) -> float:
    """Return how long before the failure a genuine callback of the run was accepted; 0.0 if none
    was.
    """
    job = story.job
    if not job.finished_at:
        return 0.0
    key, failed_at = job.call_key, job.finished_at.timestamp() - MARGIN_SECONDS
    accepted = [
        each.at
        for each in story.callbacks
        if each.kind == "genuine" and each.key == key and str(each.status).startswith("2")
    ]
    return max((failed_at - at for at in accepted if at < failed_at), default=0.0)


def unexplained_calls(history: History) -> Iterator[Finding]:
    """More vendor calls than attempts, or a call after one that needed no other."""
    ended = {end.pid for end in history.journal.ends}
    for story in history.stories.values():
        for run in range(1, story.job.run + 1):
            yield from _unexplained(story, run, ended)


def _unexplained(story: Story, run: int, ended: set[int]) -> Iterator[Finding]:
    job, attempts, calls = story.job, story.attempts_of(run), len(story.arrivals_of(run))
    if len(story.arrivals) > job.attempt:
        yield job.pk, f"{job.attempt} attempts started, but {len(story.arrivals)} calls arrived"
    if not settings.ON_MONGODB and without_record(story, run):
        yield job.pk, f"run {run} has {len(attempts)} attempts, but {calls} calls arrived"
    for attempt in attempts[:-1]:
        if reason := _why_last(attempt, VENDORS[job.vendor].fields):
            yield job.pk, f"another attempt followed attempt {attempt.number}, which {reason}"
    for attempt in attempts:
        if attempt.outcome == "worker_lost" and _pid(attempt.worker) not in ended:
            name = f"attempt {attempt.number}"
            yield job.pk, f"{name} was taken over from {attempt.worker}, which was healthy"


def _why_last(attempt: Attempt, fields: Mapping[str, Any]) -> str:
    """Return why no attempt may follow this one, or "" if one may."""
    if attempt.outcome in ("found", "no_data"):
        return "was done"
    if attempt.outcome == "pending" and not fields.get("repeat_overdue"):
        return "was accepted"
    if attempt.outcome in UNKNOWN and not fields.get("repeat_unknown", True):
        return f"ended as {attempt.outcome} and must not be repeated"
    return ""


def without_record(story: Story, run: int) -> int:
    """Return how many calls of a run have no attempt. On MongoDB, a kill between two writes can
    cause one.
    """
    recorded = len(story.attempts_of(run)) + _has_unrecorded_last(story, run)
    return max(0, len(story.arrivals_of(run)) - recorded)


def _has_unrecorded_last(story: Story, run: int) -> bool:
    """Whether the last attempt may lack a record: a callback completed the job during the call, and
    then the worker died.
    """
    last_recorded = max((attempt.number for attempt in story.attempts), default=0)
    by_callback = any(
        each.verdict == Verdict.APPLIED and each.run == run for each in story.stored_callbacks
    )
    return run == story.job.run and story.job.attempt > last_recorded and by_callback


def _pid(worker: str) -> int:
    return int(worker.rsplit("-", 2)[1])


def forged(history: History) -> Iterator[Finding]:
    for job_id, story in history.stories.items():
        if "forged" in str(story.job.result):
            yield job_id, "has a forged result"
        for callback in story.callbacks:
            if callback.kind.startswith("forged") and str(callback.status).startswith("2"):
                yield job_id, f"a {callback.kind} callback was answered {callback.status}"


def wrong_bulk_actions(history: History) -> Iterator[Finding]:
    """Jobs that a bulk action has moved twice or forgotten, and counts that do not add up."""
    yield from history.journal.bulk_findings


CHECKS: dict[str, Callable[[History], Iterator[Finding]]] = {
    "lost": lost,
    "stuck": stuck,
    "recorded twice": recorded_twice,
    "wrong": wrong,
    "unexplained vendor calls": unexplained_calls,
    "forged callbacks accepted": forged,
    "wrong bulk actions": wrong_bulk_actions,
    **polls.CHECKS,
    **keys.CHECKS,
    **in_flight.CHECKS,
    **promises.CHECKS,
    **batches.CHECKS,
}
