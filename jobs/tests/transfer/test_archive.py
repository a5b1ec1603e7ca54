"""The file between two stores: what is wrong with it is said with its line."""

import json

import pytest

from jobs.transfer import archive
from jobs.transfer.archive import FaultyArchiveError
from jobs.transfer.importing import Loading

AT = "2026-01-31T12:00:00.123456Z"
JOB = {
    "vendor": "acme",
    "name": "Zoë",
    "input": {"half": "\ud83d"},
    "created_at": AT,
    "queued_at": AT,
}


@pytest.fixture
def path(tmp_path):
    """A file of three jobs, which lack what has a default."""
    path = tmp_path / "rows.jsonl"
    rows = [archive.line("job", {"id": f"job-{number}", **JOB}) for number in (1, 2, 3)]
    path.write_bytes(b"".join([archive.header(), *rows, archive.end({"job": 3})]))
    return path


def read(path):
    """Read the whole file as an import does, and return its rows."""
    with path.open("rb") as file:
        Loading(file)
        return [archive.row(line) for line in archive.lines(file)]


def changed(path, number, change):
    """Change a line of the file, by its number as an editor counts."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[number - 1] = change(lines[number - 1])
    path.write_bytes(b"".join(lines))


def columns(**columns):
    return lambda line: json.dumps({**json.loads(line), **columns}).encode() + b"\n"


def without(name):
    return lambda line: (
        json.dumps({key: value for key, value in json.loads(line).items() if key != name}).encode()
        + b"\n"
    )


def test_a_column_that_the_file_does_not_know_has_its_default(path):
    [job, *_] = read(path)
    assert job.keys() == archive.fields("job").keys()
    assert {name: job[name] for name in JOB} == {
        **JOB,
        "created_at": job["created_at"],
        "queued_at": job["queued_at"],
    }
    assert archive.line("job", job).count(AT.encode()) == 2
    assert (job["status"], job["run"], job["result"], job["error_code"]) == ("queued", 1, None, "")


NOT_OURS = "is no vendor, job, attempt or callback with an id."
NO_ORDER = "is not in the order in which rows are written."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda line: line[:-9] + b"\n", NOT_OURS),
        (lambda line: b"\n", NOT_OURS),
        (lambda line: b"[]\n", NOT_OURS),
        (lambda line: b"\xff\x00\n", NOT_OURS),
        (lambda line: b"[" * 100_000 + b"\n", NOT_OURS),
        (columns(kind="user"), NOT_OURS),
        (columns(kind=["job"]), NOT_OURS),
        (without("id"), NOT_OURS),
        (columns(id=7), NOT_OURS),
        (columns(id="0"), NO_ORDER),
        (columns(id="job-1"), NO_ORDER),
        (columns(kind="vendor"), NO_ORDER),
        (without("name"), "has no name."),
        (without("created_at"), "has no created_at."),
        (columns(colour="red"), "has a column that this version does not know: colour."),
    ],
)
def test_a_line_that_is_none_of_ours_is_named(path, change, sentence):
    changed(path, 3, change)
    with pytest.raises(FaultyArchiveError) as refused:
        read(path)
    assert str(refused.value) == f"Line 3 {sentence}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", None),
        ("name", "x" * 201),
        ("name", "\ud83d"),
        ("attempt", "many"),
        ("attempt", 2**70),
        ("attempt", -1),
        ("attempt", float("inf")),
        ("queued_at", "yesterday"),
        ("queued_at", "2026-13-01T00:00:00Z"),
        ("queued_at", "2026-01-31T12:00:00"),
        ("queued_at", 12),
        ("status", "lost"),
        ("status", ["queued"]),
        ("input", None),
    ],
    ids=str,
)
def test_a_value_that_no_store_would_keep_is_named_and_not_quoted(path, name, value):
    changed(path, 4, columns(**{name: value}))
    with pytest.raises(FaultyArchiveError) as refused:
        read(path)
    assert str(refused.value) == f"Line 4 has a value of {name} that can't be kept there."


@pytest.mark.parametrize(
    ("number", "change", "sentence"),
    [
        (
            1,
            columns(version=2),
            "Line 1 names version 2, and this EnrichLabs reads up to 1. Update it first.",
        ),
        (1, columns(version="1"), "Line 1 is not that of an export."),
        (1, columns(format="other"), "Line 1 is not that of an export."),
        (1, lambda line: b"", "Line 1 is not that of an export."),
        (
            5,
            lambda line: b"",
            "The last line is not that of a finished export. Run the export again, to its end.",
        ),
        (
            5,
            lambda line: line[:-1],
            "The last line is not that of a finished export. Run the export again, to its end.",
        ),
        (
            5,
            columns(job="many"),
            "The last line is not that of a finished export. Run the export again, to its end.",
        ),
    ],
)
def test_what_is_no_finished_export_is_refused(path, number, change, sentence):
    changed(path, number, change)
    with pytest.raises(FaultyArchiveError) as refused:
        read(path)
    assert str(refused.value) == sentence
