"""The results of a batch as its client reads them, compared with its rows."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from chaos.batches.story import BatchStory
from chaos.history import Finding
from chaos.polls.results import expected_of, is_as_expected
from jobs.models import Job, RefusedItem, Status

REFUSED = "refused"
COLUMNS = (
    *("index", "request_id", "reference", "status", "outcome", "error_code", "error_message"),
    *("created_at", "finished_at", "result"),
)


def all_indexes(story: BatchStory) -> list[int]:
    """Return the index of each line, in their order."""
    return [line["index"] for line in story.parcel.lines or ()]


def indexes(story: BatchStory) -> set[int]:
    return set(all_indexes(story))


def wrong(story: BatchStory, seed: int) -> Iterator[Finding]:
    """Lines that say something else than the rows, and counts that do."""
    if story.parcel.lines is None:
        return
    for line in story.parcel.lines:
        index = line["index"]
        for job in story.jobs.get(index, ()):
            yield from _wrong_job(story, seed, job, line)
        for row in story.refused.get(index, ()):
            code = (line.get("error") or {}).get("code")
            if difference := _difference(_of_refused(row), {**line, "error_code": code}):
                yield story.name, f"line {index} of the results: {difference}"
    yield from _wrong_cells(story)
    yield from _wrong_counts(story)


def _wrong_job(
    story: BatchStory, seed: int, job: Job, line: Mapping[str, Any]
) -> Iterator[Finding]:
    if difference := _difference(_of_job(job), line):
        yield job.pk, f"line {line['index']} of the results: {difference}"
    if job.status != Status.COMPLETE:
        return
    item = next((each for each in story.parcel.draft.items if each.index == line["index"]), None)
    serial, found = item.serial if item else 0, line.get("result")
    expected = expected_of(seed, job.vendor, job.call_key, name=job.name, serial=serial)
    if not is_as_expected(found, expected):
        yield job.pk, f"line {line['index']} has the result {found}; expected {expected}"


def _wrong_cells(story: BatchStory) -> Iterator[Finding]:
    """Compare the CSV file with the lines."""
    lines, cells = story.parcel.lines or (), story.parcel.cells
    if cells is None:
        return
    if len(lines) != len(cells):
        yield story.name, f"{len(lines)} lines of NDJSON, {len(cells)} of CSV"
    for line, row in zip(lines, cells, strict=False):
        if difference := _difference(_as_cells(line), row):
            yield story.name, f"row {line['index']} of the CSV file: {difference}"


def _as_cells(line: Mapping[str, Any]) -> dict[str, str]:
    error = line.get("error") or {}
    found = {**line, "error_code": error.get("code"), "error_message": error.get("message")}
    cells = {name: "" if found.get(name) is None else str(found[name]) for name in COLUMNS}
    del cells["result"]  # JSON text may be written in several ways
    return cells


def _wrong_counts(story: BatchStory) -> Iterator[Finding]:
    statuses = Counter(job.status for jobs in story.jobs.values() for job in jobs)
    statuses[REFUSED] = sum(map(len, story.refused.values()))
    shown = {name: count for name, count in story.parcel.shown.get("counts", {}).items() if count}
    expected = {str(name): count for name, count in statuses.items() if count}
    received = story.parcel.shown.get("received")
    if shown != expected or received != statuses.total():
        yield story.name, f"is shown with {received} items, {shown}; its rows are {expected}"


def _of_job(job: Job) -> dict[str, Any]:
    error = {"code": job.error_code, "message": job.error_message}
    return {
        "request_id": job.pk,
        "reference": job.reference or None,
        "status": job.status,
        "outcome": (job.outcome or "found") if job.status == Status.COMPLETE else None,
        "result": job.result if job.status == Status.COMPLETE else None,
        "error": error if job.status == Status.FAILED else None,
    }


def _of_refused(row: RefusedItem) -> dict[str, Any]:
    return {"request_id": None, "status": REFUSED, "result": None, "error_code": row.code}


def _difference(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    differing = {name for name in expected if expected[name] != found.get(name)}
    return "; ".join(
        f"{name} is {json.dumps(found.get(name))}, not {json.dumps(expected.get(name))}"
        for name in sorted(differing)
    )
