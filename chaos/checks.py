"""What must hold whatever happened: each check returns what breaks it, in words, by the job that it
happened to.
"""

from collections import Counter
from collections.abc import Callable, Iterator

from django.conf import settings

from chaos.history import History, Story
from chaos.plans import answer_of, error_of, may_fail_with, plan_of
from chaos.vendors import MAX_ATTEMPTS, VENDORS
from jobs.models import FINAL, Status, Verdict

Finding = tuple[str, str]  # the job's id, and what is wrong in words

# The worker, or its word, was lost in mid-call: the vendor may have done the work all the same.
UNKNOWN = {"worker_lost", "worker_stopped", "vendor_timeout", "connection_lost", "bad_reply"}
# What a fault of the campaign can bring any job to, once all its tries are used up.
BY_FAULTS = {
    "vendor_error",
    "vendor_unreachable",
    "vendor_timeout",
    "connection_lost",
    "vendor_denied",
    "worker_lost",
}
IN_TIME_SECONDS = 1.0


def lost(history: History) -> Iterator[Finding]:
    """Accepted, and not in the store."""
    for posted in history.posted:
        if posted.job_id and posted.job_id not in history.stories:
            yield posted.job_id, f"job {posted.serial} was accepted and is not there"


def stuck(history: History) -> Iterator[Finding]:
    for job_id, story in history.stories.items():
        if story.job.status not in FINAL:
            yield job_id, f"it is still {story.job.status}"


def recorded_twice(history: History) -> Iterator[Finding]:
    for job_id, story in history.stories.items():
        ends = Counter(attempt.run for attempt in story.attempts if attempt.outcome == "done")
        ends += Counter(
            int(each.run or 0) for each in story.stored_callbacks if each.verdict == Verdict.APPLIED
        )
        numbers = Counter(attempt.number for attempt in story.attempts)
        if twice := [run for run, count in ends.items() if count > 1]:
            yield job_id, f"run {twice[0]} was completed {ends[twice[0]]} times"
        if twice := [number for number, count in numbers.items() if count > 1]:
            yield job_id, f"attempt {twice[0]} was recorded {numbers[twice[0]]} times"


def wrong(history: History) -> Iterator[Finding]:
    """Not the result, or not the end, that the vendor's answers and the client's wishes call for."""
    for job_id, story in history.stories.items():
        job = story.job
        if story.posted and story.posted.cancelled and job.status != Status.CANCELLED:
            yield job_id, "its client was told that it is cancelled"
        if story.posted and story.posted.retried and job.run == 1:
            yield job_id, "its client was told that it is tried again"
        match job.status:
            case Status.COMPLETE:
                yield from _wrong_result(history, story)
            case Status.FAILED:
                yield from _wrong_failure(history, story)
            case Status.CANCELLED if (
                plan_of(history.seed, story.serial, job.vendor).client != "cancel"
            ):
                yield job_id, "nobody has cancelled it"


def _wrong_result(history: History, story: Story) -> Iterator[Finding]:
    job = story.job
    said = {
        "name": job.name,
        "serial": story.serial,
        "answer": answer_of(history.seed, job.idempotency_key),
    }
    held = {name: (job.result or {}).get(name) for name in said}
    if held != said or job.error_code:
        yield job.pk, f"its result is {held}, and should be {said}"


def _wrong_failure(history: History, story: Story) -> Iterator[Finding]:
    job = story.job
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
    if job.error_code not in allowed or not job.error_message:
        yield job.pk, f"it failed as {job.error_code!r}, for which there is no reason"
    if job.error_code == "callback_overdue" and (taken := _taken_in_time(story)):
        yield (
            job.pk,
            f"it failed as callback_overdue, but its callback was taken {taken:.1f} s before that",
        )


def _taken_in_time(story: Story) -> float:
    """Return how long before the job failed a genuine callback of its run was taken; 0.0 where none
    was.
    """
    job = story.job
    if not job.finished_at:
        return 0.0
    key, failed_at = job.idempotency_key, job.finished_at.timestamp() - IN_TIME_SECONDS
    taken = [
        each.at
        for each in story.callbacks
        if each.kind == "genuine" and each.key == key and str(each.status).startswith("2")
    ]
    return max((failed_at - at for at in taken if at < failed_at), default=0.0)


def unexplained_calls(history: History) -> Iterator[Finding]:
    """The vendor was called more often than there are attempts, or again after a call that needed
    no other.
    """
    ended = {end.pid for end in history.journal.ends}
    for story in history.stories.values():
        for run in range(1, story.job.run + 1):
            yield from _unexplained(story, run, ended)


def _unexplained(story: Story, run: int, ended: set[int]) -> Iterator[Finding]:
    job, attempts, calls = story.job, story.attempts_of(run), len(story.arrivals_of(run))
    if len(story.arrivals) > job.attempt:
        yield (
            job.pk,
            f"it was started {job.attempt} times, and {len(story.arrivals)} calls came to the vendor",
        )
    if not settings.ON_MONGODB and without_record(story, run):
        yield (
            job.pk,
            f"run {run} has {len(attempts)} attempts, and {calls} calls came to the vendor",
        )
    for attempt in attempts[:-1]:
        repeats_overdue = attempt.outcome == "accepted" and VENDORS[job.vendor].fields.get(
            "repeat_overdue"
        )
        if attempt.outcome == "done" or (attempt.outcome == "accepted" and not repeats_overdue):
            yield (
                job.pk,
                f"attempt {attempt.number} was {attempt.outcome}, and yet another was made",
            )
        if attempt.outcome in UNKNOWN and not VENDORS[job.vendor].fields.get(
            "repeat_unknown", True
        ):
            yield (
                job.pk,
                f"after attempt {attempt.number} ({attempt.outcome}) the vendor must not be called again",
            )
    for attempt in attempts:
        if attempt.outcome == "worker_lost" and _pid(attempt.worker) not in ended:
            yield (
                job.pk,
                f"attempt {attempt.number} was taken over from {attempt.worker}, which had not been harmed",
            )


def without_record(story: Story, run: int) -> int:
    """Return how many calls of a run have no attempt; on MongoDB, a process that is killed between
    two writes leaves such.
    """
    recorded = len(story.attempts_of(run)) + _has_unrecorded_last(story, run)
    return max(0, len(story.arrivals_of(run)) - recorded)


def _has_unrecorded_last(story: Story, run: int) -> bool:
    """Whether the last try may rightly have no record: its job was ended while it was under way,
    and then its worker died.
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
            yield job_id, "it has a forged result"
        for callback in story.callbacks:
            if callback.kind.startswith("forged") and str(callback.status).startswith("2"):
                yield job_id, f"a {callback.kind} callback was answered {callback.status}"


CHECKS: dict[str, Callable[[History], Iterator[Finding]]] = {
    "lost": lost,
    "stuck": stuck,
    "recorded twice": recorded_twice,
    "wrong": wrong,
    "unexplained vendor calls": unexplained_calls,
    "forged callbacks let in": forged,
}
