"""The verdict on a vendor: what it does now, what holds it, and what to do next."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from jobs.admin import key_states
from jobs.admin.formats import counted
from jobs.admin.page.texts import words_of
from jobs.monitoring.facts import VendorLine, VendorState
from jobs.queue.snapshot import Snapshot
from vendors.models import Vendor

NOTED_SHARE = 0.1  # of calls that ended in an error
TONES = {
    VendorState.NO_WORKER: "bad",
    VendorState.DOWN: "bad",
    VendorState.PAUSED: "warning",
    VendorState.PROBING: "warning",
    VendorState.UNKNOWN: "warning",
    VendorState.DISABLED: "off",
    VendorState.LIMITED: "info",
    VendorState.RUNNING: "good",
}
WORDS = {
    VendorState.NO_WORKER: "No worker.",
    VendorState.DOWN: "Down.",
    VendorState.PAUSED: "Paused.",
    VendorState.PROBING: "Probing.",
    VendorState.UNKNOWN: "Not known.",
    VendorState.DISABLED: "Disabled.",
    VendorState.LIMITED: "At its limit, as it should be.",
    VendorState.RUNNING: "Running.",
}
NEXT_STEPS = {
    VendorState.NO_WORKER: "Its jobs wait and spend no attempt. The vendor is called as soon as a "
    "worker can.",
    VendorState.DOWN: "Its jobs wait and spend no attempt. One of them probes the vendor then, and "
    "the breaker closes once a probe succeeds. Close it by hand if you know that the vendor is "
    "back.",
    VendorState.PROBING: "Its other jobs wait and spend no attempt. Nothing needs to be done.",
}
WAIT = "Its jobs wait."
RESUME_IT = "Its jobs wait until somebody resumes it."
GOES_ON = "Its jobs wait, and go on by themselves then."
ENDS_BY_ITSELF = "Its jobs wait. The pause ends by itself once a worker can call the vendor."
POLLS_GO_ON = "Jobs that wait for an answer are still polled: polls go on."


@dataclass(frozen=True)
class Verdict:
    """`sentence` is followed by since when and until when, and `more` by nothing."""

    tone: str
    word: str
    sentence: str
    more: list[str]
    since: datetime | None = None
    until: datetime | None = None


def verdict(vendor: Vendor, line: VendorLine | None, redis: Snapshot, *, is_ours: bool) -> Verdict:
    """Return the verdict. `vendor`: as the store has it. `is_ours`: it is paused because no worker
    can call it.
    """
    if line is None:
        return Verdict("warning", "Unknown.", "Read this page again in a second.", [])
    tone, sentence = TONES[line.state], line.sentence
    if sentence and not sentence.endswith((".", "!", "?")):
        sentence += "."
    if line.state == VendorState.PAUSED and vendor.paused and not vendor.paused_by:
        tone = "bad"  # it stays so until a person acts
    share = line.errors_5min / line.calls_5min if line.calls_5min else 0.0
    if line.state == VendorState.RUNNING and share > NOTED_SHARE:
        tone = "warning"
    more = [*_next_step(vendor, line, redis, is_ours=is_ours), *_backlog(line)]
    if share > NOTED_SHARE:
        calls = f"{line.errors_5min:,} of {counted(line.calls_5min, 'call')}"
        more.append(f"{calls} in the last 5 minutes ended in an error.")
    if keys := key_states.summary(vendor, redis):
        more.append(f"{keys}.")
    if not redis.redis_answers:
        more.append("Redis does not answer: what it knows of the vendor is missing here.")
    return Verdict(tone, _word(line.state, sentence), sentence, more, line.since, line.until)


def _word(state: VendorState, sentence: str) -> str:
    word = WORDS[state]
    return "" if sentence.startswith(word.rstrip(".")) else word  # "Paused by ann: ..."


def _next_step(
    vendor: Vendor, line: VendorLine, redis: Snapshot, *, is_ours: bool
) -> Iterator[str]:
    if line.state == VendorState.PAUSED:
        if is_ours:
            yield WAIT if "by itself" in line.sentence else ENDS_BY_ITSELF
        else:
            yield GOES_ON if line.until else RESUME_IT
        if "poll" in vendor.definition and vendor.allows_polls(redis.now):
            yield POLLS_GO_ON
    elif line.state in NEXT_STEPS:
        yield NEXT_STEPS[line.state]


def _backlog(line: VendorLine) -> Iterator[str]:
    if not line.waiting:
        if line.waiting == 0 and line.state == VendorState.RUNNING:
            yield "No job waits."
        return
    jobs = counted(line.waiting, "job")
    waits = "waits" if line.waiting == 1 else "wait"
    if line.done_in_seconds is None:
        yield f"{jobs} {waits}."
        return
    bound = f", bound by {line.done_in_bound}" if line.done_in_bound else ""
    yield f"{jobs} {waits}, and will be done in about {words_of(line.done_in_seconds)}{bound}."
