"""The checks of batches, on a made-up one of two jobs and a refused item."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

import pytest

from chaos.batches import checks, drafts
from chaos.batches.drafts import Draft, Item
from chaos.batches.parcel import Parcel, Sent
from chaos.batches.story import BatchStory
from chaos.history import History, Story
from chaos.journal import Journal
from chaos.plans import answer_of
from chaos.tests.conftest import SEED
from jobs.models import Attempt, Batch, Job, RefusedItem

BATCH = "01890000-0000-7000-8000-00000000000b"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOBS = [f"01890000-0000-7000-8000-00000000000{index}" for index in (0, 1)]


def job_of(index):
    result = {"name": "", "serial": 10 + index, "answer": answer_of(SEED, JOBS[index])}
    fields = {
        "status": "complete",
        "outcome": "found",
        "result": result,
        "reference": f"row-{index}",
    }
    input_ = {"serial": 10 + index}
    return Job(id=JOBS[index], batch=BATCH, batch_index=index, input=input_, **fields)


def line_of(job):
    shown = {"request_id": job.pk, "reference": job.reference, "status": job.status}
    times = {"created_at": None, "finished_at": None}
    answer = {"outcome": job.outcome, "result": job.result}
    return {"index": job.batch_index, **shown, **times, **answer}


def cells_of(line):
    error = line.get("error", {})
    errors = {"error_code": error.get("code"), "error_message": error.get("message")}
    cells = {"outcome": None, **errors, **line}
    return {name: "" if value is None else str(value) for name, value in cells.items()}


@pytest.fixture
def story():
    """All is well with it: every test breaks something."""
    items = [
        Item(index, 10 + index, "", "quick", {"reference": f"row-{index}"}) for index in (0, 1)
    ]
    items.append(Item(2, 12, "", code="blank"))
    draft = Draft(7, "billing", "ndjson", "retry", "quick", items)
    jobs = {index: [job_of(index)] for index in (0, 1)}
    refused = {2: [RefusedItem.new(BATCH, 2, 400, "blank", "It is blank.")]}
    refusal = {"error": {"code": "blank", "message": "It is blank."}}
    empty = dict.fromkeys(("request_id", "reference", "created_at", "finished_at"))
    lines = [line_of(job) for [job] in jobs.values()]
    lines.append({"index": 2, **empty, "status": "refused", **refusal})
    parcel = Parcel(draft, [Sent(1.0, "", 1.0, "202", batch_id=BATCH, counts=(3, 2, 1))])
    parcel.shown = {"state": "finished", "received": 3, "counts": {"complete": 2, "refused": 1}}
    parcel.listed, parcel.lines, parcel.cells = [BATCH], lines, [cells_of(line) for line in lines]
    parcel.retried = True
    return BatchStory(parcel, [Batch(id=BATCH)], jobs, refused)


def found(story):
    stories = {job.pk: Story(job) for jobs in story.jobs.values() for job in jobs}
    if story.parcel.cancelled_at:
        for each in stories.values():
            each.attempts.append(Attempt(started_at=NOW, run=1, number=1))
    history = History(SEED, [], stories, Journal(), batches=[story])
    return {name for name, check in checks.CHECKS.items() if list(check(history))}


def test_a_batch_as_it_should_be_is_not_found(story):
    assert found(story) == set()


def lose_row(story):
    del story.jobs[1]


def lose_line(story):
    del story.parcel.lines[1]


def double_row(story):
    story.refused[1] = [RefusedItem.new(BATCH, 1, 400, "blank", "")]


def add_row(story):
    story.jobs[3] = [replace_job(job_of(1), batch_index=3)]


def add_batch(story):
    story.parcel.sent.append(Sent(2.0, "", 1.0, "202", batch_id="other", counts=(3, 2, 1)))


def swap_lines(story):
    story.parcel.lines.reverse()
    story.parcel.cells.reverse()


def swap_partial_lines(story):
    story.parcel.partial_indexes.append([1, 0])


def swap_items(story):
    story.jobs = {0: story.jobs[1], 1: story.jobs[0]}


def change_row(story):
    story.jobs[1][0].status = "cancelled"


def change_result(story):
    story.jobs[1][0].result = story.parcel.lines[1]["result"] = {"serial": 11, "answer": "forged"}


def change_cell(story):
    story.parcel.cells[1]["status"] = "failed"


def change_counts(story):
    story.parcel.shown["counts"] = {"complete": 3}


def change_answer(story):
    story.parcel.sent[0] = replace(story.parcel.sent[0], counts=(3, 3, 0))


def refuse_otherwise(story):
    story.refused[2][0].code = "unknown_vendor"


def fail_after_retry(story):
    for each in (story.parcel.lines[1], story.parcel.cells[1], story.parcel.shown):
        each["status"] = "failed"
    job = story.jobs[1][0]
    job.status = "failed"


def start_after_cancel(story):
    story.parcel.cancel_requested = True
    story.parcel.cancelled_at = NOW.timestamp() - 60


def never_seal(story):
    story.parcel.sent[:] = [Sent(1.0, "", 1.0, "409", "not_valid", BATCH)]


def never_finish(story):
    story.parcel.shown["state"] = "running"


def hide_results(story):
    story.parcel.cells = None


def leave_out_of_list(story):
    story.parcel.listed = []


def replace_job(job, **fields):
    for name, value in fields.items():
        setattr(job, name, value)
    return job


LOST, DOUBLED, ORDER, WRONG, STUCK = checks.CHECKS


@pytest.mark.parametrize(
    ("breaks", "name"),
    [
        (lose_row, LOST),
        (lose_line, LOST),
        (double_row, DOUBLED),
        (add_row, DOUBLED),
        (add_batch, DOUBLED),
        (swap_lines, ORDER),
        (swap_partial_lines, ORDER),
        (swap_items, WRONG),
        (change_row, WRONG),
        (change_result, WRONG),
        (change_cell, WRONG),
        (change_counts, WRONG),
        (change_answer, WRONG),
        (refuse_otherwise, WRONG),
        (fail_after_retry, WRONG),
        (start_after_cancel, WRONG),
        (never_seal, STUCK),
        (never_finish, STUCK),
        (hide_results, STUCK),
        (leave_out_of_list, STUCK),
    ],
)
def test_what_is_wrong_with_a_batch_is_found(story, breaks, name):
    breaks(story)
    assert name in found(story)


def test_drafts_depend_on_the_seed_and_have_a_few_invalid_items():
    some = [drafts.draft_of(SEED, number, NOW) for number in range(30)]
    assert some[:5] == [drafts.draft_of(SEED, number, NOW) for number in range(5)]
    assert {(each.form, each.manner) for each in some} == set(drafts.SHAPES)
    assert all(b"".join(each.pieces()) == each.body for each in some)
    items = [item for each in some for item in each.items]
    assert len({item.serial for item in items}) == len(items)
    codes = {item.code for item in items} - {""}
    assert codes == set(drafts.INVALID_LINES.values())
    assert sum(bool(item.code) for item in items) < 0.1 * len(items)


def test_batches_are_posted_at_the_rate_of_their_items():
    *_, last = islice(drafts.due_times(SEED, rate=10), 100)
    sizes = [drafts.size_of(SEED, number) for number in range(99)]
    assert last == pytest.approx(1 + sum(sizes) / 10)
