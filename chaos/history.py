"""All that is known of a campaign when it is over: what clients were promised, what the store
holds, what the vendor saw.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from chaos import ledger
from chaos.client import Posted
from chaos.journal import Journal
from chaos.ledger import Answered, Arrival, read_ledger
from jobs.models import Attempt, Callback, Job

CHUNK = 2000


@dataclass
class Story:
    """All that is known of one job."""

    job: Job
    attempts: list[Attempt] = field(default_factory=list)
    stored_callbacks: list[Callback] = field(default_factory=list)
    arrivals: list[Arrival] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    callbacks: list[ledger.Callback] = field(default_factory=list)
    posted: Posted | None = None

    @property
    def serial(self) -> int:
        return int(self.job.input["serial"])

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


def key_of(job: Job, run: int) -> str:
    return Job(id=job.pk, run=run).idempotency_key


def read(seed: int, posted: list[Posted], ledger_file: Path, journal: Journal) -> History:
    """Return the history, read from the store and from the vendor's ledger."""
    stories = {job.pk: Story(job) for job in Job.objects.iterator(CHUNK)}
    for attempt in Attempt.objects.iterator(CHUNK):
        stories[attempt.job].attempts.append(attempt)
    for callback in Callback.objects.iterator(CHUNK):
        if callback.job in stories:
            stories[callback.job].stored_callbacks.append(callback)
    _add_ledger(stories, ledger_file)
    for request in posted:
        if request.job_id in stories:
            stories[request.job_id].posted = request
    return History(seed, posted, stories, journal)


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


def tell(story: Story, journal: Journal) -> list[str]:
    """Return the history of one job, a line an event, in the order of time, with what was done to
    the system meanwhile.
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
    state = f"{job.status} attempt {job.attempt} run {job.run} failures {job.failures} crashes {job.crashes} {job.error_code}"
    yield (
        job.created_at.timestamp(),
        f"created; at the end: {state} {job.result if job.result else job.error_message}",
    )
    if story.posted:
        yield (
            story.posted.at,
            f"posted, answered {story.posted.answer} after {story.posted.took_seconds:.2f} s",
        )
    if job.finished_at:
        yield job.finished_at.timestamp(), f"finished as {job.status}"
    for attempt in story.attempts:
        words = f"attempt {attempt.number} (run {attempt.run}) of {attempt.worker}"
        yield attempt.started_at.timestamp(), f"{words} started"
        yield attempt.ended_at.timestamp(), f"{words} ended: {attempt.outcome} {attempt.message}"
    for callback in story.stored_callbacks:
        words = f"callback for run {callback.run} attempt {callback.attempt} stored, {callback.verdict or 'without verdict'}"
        yield callback.received_at.timestamp(), words
    for arrival in story.arrivals:
        yield (
            arrival.at,
            f"vendor: call {arrival.number} with key {arrival.key}, mood {arrival.mood}, token's attempt {arrival.attempt}",
        )
    for answered in story.answers:
        yield (
            answered.at,
            f"vendor: answered call {answered.number} with {answered.status}, whole: {answered.whole}",
        )
    for sent in story.callbacks:
        yield sent.at, f"vendor: {sent.kind} sent for call {sent.number} was answered {sent.status}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S.%f")[:-3]
