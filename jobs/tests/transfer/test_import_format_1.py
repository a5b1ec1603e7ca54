"""Files in version 1 of the export format are imported row by row."""

import json
from datetime import datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from jobs.models import Job, Status
from jobs.tests.rows import all_rows
from jobs.tests.transfer.fixtures import RELEASE, WITH_CALL_KINDS
from jobs.transfer.archive import fields

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]

DEFAULTS = {
    "vendor": {
        "arrival_margin_ms": 70,
        "paused_at": None,
        "paused_by": "",
        "resumed_at": None,
        "required_input": "name",
        "definition": {},
        "membership": "",
    },
    "job": {
        "batch": "",
        "batch_index": None,
        "client": "default",
        "expires_at": None,
        "fingerprint": "",
        "idempotency_key": None,
        "metadata": None,
        "reference": "",
        "outcome": "",
        "vendor_reference": "",
        "next_poll_at": None,
        "credential": "",
        "bulk": "",
    },
    "attempt": {
        "kind": "call",
        "reply": None,
        "cost": None,
        "confidence": None,
        "vendor_reference": "",
        "units": 1,
        "limits": "",
        "credential": "",
    },
    "callback": {"reason": "", "vendor_reference": ""},
}
KINDS = {"delivery": "callback"}
ABSENT = ("credential", "credential key", "limit", "batch", "refused item")
ORDER = (
    "credentials",
    "credential keys",
    "limits",
    "vendors",
    "clients",
    "batches",
    "refused items",
    "jobs",
    "attempts",
    "callbacks",
)


def run(path):
    """Run the command as a script would. Return its output."""
    out = StringIO()
    call_command("import", str(path), stdout=out)
    return out.getvalue()


def expected_rows(path):
    """Return the rows that the file stands for, read without any code of ours."""
    expected = {kind: [] for kind in DEFAULTS}
    for text in path.read_text("ascii").splitlines()[1:-1]:
        row = json.loads(text)
        kind = row.pop("kind")
        kind = KINDS.get(kind, kind)
        if row.get("stream") == "again":
            row["stream"] = "retries"
        if "call_kind" in row:
            row["kind"] = row.pop("call_kind")
        times = {
            name: datetime.fromisoformat(row[name][:23] + "+00:00")  # as MongoDB keeps it
            for name in row
            if name.endswith(("_at", "_before", "_until")) and row[name]
        }
        expected[kind].append({**DEFAULTS[kind], **row, **times})
    return expected


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        (RELEASE, {"vendors": 8, "jobs": 12, "attempts": 9, "callbacks": 5}),
        (WITH_CALL_KINDS, {"vendors": 3, "jobs": 6, "attempts": 7, "callbacks": 3}),
    ],
    ids=["release 0.1.0", "with call kinds"],
)
def test_every_row_is_imported_with_its_new_words(path, counts):
    counts = {**dict.fromkeys(ORDER, 0), **counts}
    text = "{0}: {1} in the file, {1} read, {1} written, {1} in the store\n"
    assert run(path) == "".join(text.format(name, count) for name, count in counts.items())
    stored = all_rows()
    assert [client["slug"] for client in stored.pop("client")] == ["default"]
    assert [stored.pop(kind) for kind in ABSENT] == [[]] * len(ABSENT)
    assert all(vendor.pop("version") > 0 for vendor in stored["vendor"])
    assert stored == expected_rows(path)


def test_release_fixture_has_every_status_verdict_and_a_retry():
    rows = expected_rows(RELEASE)
    assert {job["status"] for job in rows["job"]} == set(Status.values)
    assert {row["verdict"] for row in rows["callback"]} == {
        *("", "applied", "late", "unmatched", "refused")
    }
    assert [job["status"] for job in rows["job"] if job["stream"] == "retries"] == ["queued"] * 2
    assert RELEASE.read_text().count('"stream":"again"') == 2


def test_fixture_with_call_kinds_has_the_columns_added_since_the_release():
    rows = expected_rows(WITH_CALL_KINDS)
    assert {row["kind"] for row in rows["attempt"]} == {"call", "try"}
    assert {row["arrival_margin_ms"] for row in rows["vendor"]} == {70, 250}
    assert "unreadable" in {row["verdict"] for row in rows["callback"]}
    assert all(row.keys() == fields("attempt").keys() for row in rows["attempt"])


def test_import_can_be_repeated(tmp_path):
    run(RELEASE)
    rows = all_rows()
    assert "jobs: 12 in the file, 12 read, 0 written, 12 in the store\n" in run(RELEASE)
    assert all_rows() == rows


def test_export_after_the_import_writes_version_2(tmp_path):
    run(RELEASE)
    path = tmp_path / "rows.jsonl"
    call_command("export", str(path), stdout=StringIO())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["version"] == 2
    assert {line["kind"] for line in lines[1:]} == {
        *("vendor", "client", "job", "attempt", "callback", "end")
    }
    assert {line["stream"] for line in lines if line.get("kind") == "job"} == {"jobs", "retries"}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ('"stream":"again"', '"stream":"anew"', "has a value of stream that can't be stored."),
        ('"stream":"again"', '"stream":["again"]', "has a value of stream that can't be stored."),
        (
            '"kind":"delivery"',
            '"kind":"letter"',
            "is not a credential, credential key, limit, vendor, client, batch, refused item, job, "
            "attempt or callback",
        ),
    ],
)
def test_words_unknown_to_version_1_are_refused(tmp_path, old, new, sentence):
    path = tmp_path / "rows.jsonl"
    path.write_text(RELEASE.read_text().replace(old, new, 1))
    with pytest.raises(CommandError, match=sentence):
        run(path)


def test_words_of_version_1_are_refused_in_version_2(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(RELEASE.read_text().replace('"version":1', '"version":2'))
    with pytest.raises(CommandError, match="has a value of stream that can't be stored."):
        run(path)
    assert not Job.objects.filter(stream="again").exists()
