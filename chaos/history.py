"""Everything known about a campaign at its end: what clients were promised, what the store holds,
and what the vendor saw.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from chaos import ledger
from chaos.batches import story
from chaos.batches.client import BatchClients
from chaos.batches.story import BatchStory
from chaos.client import Clients, Posted
from chaos.journal import Journal
from chaos.ledger import Answered, Arrival, read_ledger
from chaos.probes import Probed
from chaos.system import System
from chaos.waits import Wait
from jobs.models import Attempt, Batch, Callback, Job, Kind

CHUNK = 2000

Finding = tuple[str, str]  # a job's id, and what is wrong


@dataclass
class Story:
    """Everything known about one job."""

    job: Job
    attempts: list[Attempt] = field(default_factory=list)
    stored_callbacks: list[Callback] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    callbacks: list[ledger.Callback] = field(default_factory=list)
    poll_rows: list[Attempt] = field(default_factory=list)  # their attempts, as the system has them
    polls: list[ledger.Poll] = field(default_factory=list)
    polled: list[ledger.Polled] = field(default_factory=list)
    posted: Posted | None = None  # the request that was answered with this job
    requests: list[Posted] = field(default_factory=list)  # all for its serial number

    @property
    def serial(self) -> int:
        return int(self.job.input["serial"])

    @property
    def reached_at(self) -> list[float]:
        """When calls and polls arrived at the vendor."""
        return [each.at for each in self.arrivals] + [each.at for each in self.polls]

    def attempts_of(self, run: int) -> list[Attempt]:
        return sorted(
            (attempt for attempt in self.attempts if attempt.run == run),
            key=lambda attempt: attempt.number,
        )

    def arrivals_of(self, run: int) -> list[Arrival]:
        key = key_of(self.job, run)
        return [arrival for arrival in self.arrivals if arrival.key == key]


@dataclass
class History:
    seed: int
    posted: list[Posted]
    stories: dict[str, Story]
    journal: Journal
    probed: list[Probed] = field(default_factory=list)
    batches: list[BatchStory] = field(default_factory=list)
    unknown_batches: list[Batch] = field(default_factory=list)  # that no client posted
    waits: list[Wait] = field(default_factory=list)
    unmatched: list[Callback] = field(default_factory=list)  # callbacks without a job


def key_of(job: Job, run: int) -> str:
    return Job(id=job.pk, run=run).call_key


def read(seed: int, clients: Clients, batch_clients: BatchClients, system: System) -> History:
    """Read the history from the store and the vendor's ledger."""
    stories = {job.pk: Story(job) for job in Job.objects.iterator(CHUNK)}
    for attempt in Attempt.objects.iterator(CHUNK):
        story_of = stories[attempt.job]
        (story_of.poll_rows if attempt.kind == Kind.POLL else story_of.attempts).append(attempt)
    unmatched: list[Callback] = []
    for callback in Callback.objects.iterator(CHUNK):
        if callback.job in stories:
            stories[callback.job].stored_callbacks.append(callback)
        else:
            unmatched.append(callback)
    _add_ledger(stories, system.ledger)
    batches, unknown = story.read(batch_clients.parcels, (each.job for each in stories.values()))
    _add_requests(stories, clients.posted)
    for batch in batches:
        _add_requests(stories, list(batch.requests()))
    waits = [*clients.waits, *batch_clients.waits]
    found = History(seed, clients.posted, stories, system.journal, clients.probed)
    found = replace(found, batches=batches, unknown_batches=unknown, waits=waits)
    return replace(found, unmatched=unmatched)


def _add_requests(stories: dict[str, Story], posted: list[Posted]) -> None:
    requests = defaultdict(list)
    for request in posted:
        requests[request.serial].append(request)
        if request.job_id in stories:
            stories[request.job_id].posted = request
    for found in stories.values():
        if found.serial in requests:
            found.requests = requests[found.serial]


def _add_ledger(stories: dict[str, Story], ledger_file: Path) -> None:
    for event in read_ledger(ledger_file):
        story = stories.get(event.key.partition(":")[0])
        match event:
            case _ if story is None:
                continue
            case Arrival():
                story.arrivals.append(event)
            case Answered():
                story.answers.append(event)
            case ledger.Callback():
                story.callbacks.append(event)
            case ledger.Poll():
                story.polls.append(event)
            case ledger.Polled():
                story.polled.append(event)


def describe(story: Story, journal: Journal) -> list[str]:
    """Return the history of one job, one line per event in order of time, with the faults of that
    time.
    """
    lines = sorted(_lines(story))
    first, last = lines[0][0], max(at for at, _ in lines)
    lines += [
        (event.at, f"    ({event.words})")
        for event in journal.events
        if first - 2 <= event.at <= last
    ]
    return [f"  {_time(at)}  {words}" for at, words in sorted(lines)]


def _lines(story: Story) -> Iterator[tuple[float, str]]:
    job = story.job
    counters = f"failures {job.failures} crashes {job.crashes}"
    state = f"{job.status} attempt {job.attempt} run {job.run} {counters} {job.error_code}"
    yield (
        job.created_at.timestamp(),
        f"created; at the end: {state} {job.result or job.error_message}",
    )
    for each in story.requests:
        words = f"answered {each.answer}{' (a replay)' * each.is_replay}"
        yield each.at, f"posted to {each.api}, {words} after {each.took_seconds:.2f} s"
    if job.finished_at:
        yield job.finished_at.timestamp(), f"finished as {job.status}"
    for attempt in story.attempts:
        words = f"attempt {attempt.number} (run {attempt.run}) of {attempt.worker}"
        yield attempt.started_at.timestamp(), f"{words} started"
        yield attempt.ended_at.timestamp(), f"{words} ended: {attempt.outcome} {attempt.message}"
    for poll in story.poll_rows:
        words = f"poll for attempt {poll.number} by {poll.worker}"
        yield poll.started_at.timestamp(), f"{words} started"
        yield poll.ended_at.timestamp(), f"{words} ended: {poll.outcome} {poll.message}"
    for callback in story.stored_callbacks:
        words = f"callback for run {callback.run} attempt {callback.attempt} stored"
        verdict = callback.verdict or "no verdict"
        yield callback.received_at.timestamp(), f"{words}, {verdict}"
    yield from _vendor_lines(story)


def _vendor_lines(story: Story) -> Iterator[tuple[float, str]]:
    for arrival in story.arrivals:
        words = f"call {arrival.number} with key {arrival.key}, mood {arrival.mood}"
        yield arrival.at, f"vendor: {words}, token's attempt {arrival.attempt}"
    for answered in story.answers:
        words = f"answered call {answered.number} with {answered.status}"
        yield answered.at, f"vendor: {words}, complete: {answered.whole}"
    for asked in story.polls:
        words = f"poll {asked.poll} about call {asked.number} with key {asked.key}"
        yield asked.at, f"vendor: {words}, mood {asked.mood}"
    for told in story.polled:
        words = f"answered poll {told.poll} about call {told.number}: {told.said}"
        yield told.at, f"vendor: {words}, complete: {told.whole}"
    for sent in story.callbacks:
        yield sent.at, f"vendor: {sent.kind} callback for call {sent.number} got {sent.status}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S.%f")[:-3]
