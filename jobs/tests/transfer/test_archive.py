"""The export file: what is wrong with it is reported with its line number."""

import pytest

from jobs.tests.transfer.edits import changed, columns, without
from jobs.transfer import archive
from jobs.transfer.archive import FaultyArchiveError
from jobs.transfer.importing import Import

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
    """A file of three jobs, without the columns that have a default."""
    path = tmp_path / "rows.jsonl"
    rows = [archive.row_line("job", {"id": f"job-{number}", **JOB}) for number in (1, 2, 3)]
    path.write_bytes(b"".join([archive.header_line(), *rows, archive.end_line({"job": 3})]))
    return path


def read(path):
    """Read the whole file as an import does. Return its rows."""
    with path.open("rb") as file:
        Import(file)
        return [archive.row(line) for line in archive.lines(file)]


def test_missing_column_has_its_default(path):
    [job, *_] = read(path)
    assert job.keys() == archive.fields("job").keys()
    assert {name: job[name] for name in JOB} == {
        **JOB,
        "created_at": job["created_at"],
        "queued_at": job["queued_at"],
    }
    assert archive.row_line("job", job).count(AT.encode()) == 2
    assert (job["status"], job["run"], job["result"], job["error_code"]) == ("queued", 1, None, "")


NOT_A_ROW = (
    "is not a credential, credential key, limit, vendor, client, batch, refused item, job, attempt "
    "or callback with an id."
)
UNFINISHED = "The export is not finished: its end line is missing. Run the export again."
NOT_SORTED = "is not in the order in which rows are written."


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda line: line[:-9] + b"\n", NOT_A_ROW),
        (lambda line: b"\n", NOT_A_ROW),
        (lambda line: b"[]\n", NOT_A_ROW),
        (lambda line: b"\xff\x00\n", NOT_A_ROW),
        (lambda line: b"[" * 100_000 + b"\n", NOT_A_ROW),
        (columns(kind="user"), NOT_A_ROW),
        (columns(kind=["job"]), NOT_A_ROW),
        (without("id"), NOT_A_ROW),
        (columns(id=7), NOT_A_ROW),
        (columns(id="0"), NOT_SORTED),
        (columns(id="job-1"), NOT_SORTED),
        (columns(kind="vendor"), NOT_SORTED),
        (without("vendor"), "has no vendor."),
        (without("created_at"), "has no created_at."),
        (columns(batch="b-1"), "has a batch without an index, or an index without a batch."),
        (columns(batch_index=0), "has a batch without an index, or an index without a batch."),
        (columns(colour="red"), "has columns that this version does not know: colour."),
    ],
)
def test_line_that_no_export_writes_is_reported_by_number(path, change, sentence):
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
        ("client", "Bad Client"),
        ("client", ""),
        ("client", "x" * 51),
    ],
    ids=str,
)
def test_value_that_no_store_accepts_is_reported_without_quoting_it(path, name, value):
    changed(path, 4, columns(**{name: value}))
    with pytest.raises(FaultyArchiveError) as refused:
        read(path)
    assert str(refused.value) == f"Line 4 has a value of {name} that can't be stored."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slug", "bad slug/!{}"),
        ("slug", ""),
        ("vendors", "acme, Not A Vendor"),
        ("request_limits", "zzz"),
        ("request_limits", "1000000/s"),
    ],
)
def test_a_clients_settings_are_checked_as_in_the_console(path, name, value):
    row = {"id": "client-1", "slug": "billing", "vendors": "gone", "request_limits": "5/s"}
    changed(path, 1, lambda line: line + archive.row_line("client", row))
    [client, *_] = read(path)
    assert {column: client[column] for column in row} == row
    changed(path, 2, columns(**{name: value}))
    with pytest.raises(FaultyArchiveError) as refused:
        read(path)
    assert str(refused.value) == f"Line 2 has a value of {name} that can't be stored."


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"id": "b-1-00001"}, "has an id that is not made of its batch and index."),
        ({"batch_index": -7}, "has a value of batch_index that can't be stored."),
        ({"detail": None}, "has a value of detail that can't be stored."),
    ],
)
def test_a_refused_item_is_checked(path, values, sentence):
    row = {"id": "b-1-00007", "batch": "b-1", "batch_index": 7, "status": 422, "code": "x"}
    line = archive.row_line("refused item", {**row, "detail": "x", "errors": None})
    changed(path, 1, lambda first: first + line)
    assert read(path)[0]["code"] == "x"
    changed(path, 2, columns(**values))
    with pytest.raises(FaultyArchiveError) as refused:
        read(path)
    assert str(refused.value) == f"Line 2 {sentence}"


def test_a_vendors_settings_are_for_the_machine_that_calls_it(path):
    row = {"id": "vendor-1", "slug": "acme", "adapter": "adapters.elsewhere.Adapter", "url": "x"}
    changed(path, 1, lambda line: line + archive.row_line("vendor", row))
    assert read(path)[0]["adapter"] == row["adapter"]


@pytest.mark.parametrize(
    ("number", "change", "sentence"),
    [
        (
            1,
            columns(version=3),
            "Line 1 says version 3. This EnrichLabs reads versions up to 2: update it first.",
        ),
        (1, columns(version="1"), "Line 1 is not the first line of an export."),
        (1, columns(version=0), "Line 1 is not the first line of an export."),
        (1, columns(version=True), "Line 1 is not the first line of an export."),
        (1, columns(format="other"), "Line 1 is not the first line of an export."),
        (1, lambda line: b"", "Line 1 is not the first line of an export."),
        (5, lambda line: b"", UNFINISHED),
        (5, lambda line: line[:-1], UNFINISHED),
        (5, columns(job="many"), UNFINISHED),
    ],
)
def test_other_and_unfinished_files_are_refused(path, number, change, sentence):
    changed(path, number, change)
    with pytest.raises(FaultyArchiveError) as refused:
        read(path)
    assert str(refused.value) == sentence
