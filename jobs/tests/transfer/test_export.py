"""`manage.py export` writes every row to a file once, even if it was interrupted before."""

import json
import os
import signal
import stat
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from jobs.queue.keys import HEARTBEATS
from jobs.tests.rows import AT, all_rows, make_rows
from jobs.transfer import export
from jobs.transfer.archive import fields
from jobs.transfer.export import opened

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]

COUNTS = (
    "0 credentials, 0 credential keys, 0 limits, 2 vendors, 2 clients, 2 batches, 2 refused items, "
    "12 jobs, 12 attempts, 6 callbacks"
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.jsonl"


def run(path, *arguments):
    """Run the command as a script would. Return its output."""
    out = StringIO()
    call_command("export", str(path), *arguments, stdout=out)
    return out.getvalue()


def test_export_writes_every_column_of_every_row(path):
    make_rows()
    assert run(path) == f"{path} is finished: {COUNTS}.\n"
    first, *rows, last = [json.loads(line) for line in path.read_text("ascii").splitlines()]
    assert first == {"format": "enrichlabs", "version": 2}
    assert last == {
        "kind": "end",
        "credential": 0,
        "credential key": 0,
        "limit": 0,
        "vendor": 2,
        "client": 2,
        "batch": 2,
        "refused item": 2,
        "job": 12,
        "attempt": 12,
        "callback": 6,
    }
    stored = all_rows()
    assert [(row["kind"], row["id"]) for row in rows] == [
        (kind, row["id"]) for kind in stored for row in stored[kind]
    ]
    columns = {
        kind: [name if name != "kind" else "call_kind" for name in fields(kind)] for kind in stored
    }
    assert all(list(row) == ["kind", *columns[row["kind"]]] for row in rows)
    job = next(row for row in rows if row["kind"] == "job")
    assert job["input"] == stored["job"][0]["input"]
    assert job["queued_at"][:23] == AT.isoformat()[:23]
    assert (len(job["queued_at"]), job["queued_at"][-1]) == (27, "Z")


def test_file_is_readable_only_by_its_owner(path):
    run(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_export_reads_rows_in_bounded_batches(path, tmp_path, monkeypatch):
    make_rows()
    run(path)
    monkeypatch.setattr(export, "ROWS_PER_QUERY", 3)
    monkeypatch.setattr(export, "CHUNK", 2)
    run(tmp_path / "batched")
    assert (tmp_path / "batched").read_bytes() == path.read_bytes()


def test_interrupted_export_continues_where_it_stopped(path, tmp_path, monkeypatch):
    make_rows()
    run(tmp_path / "whole")
    out, written = StringIO(), []

    def interrupt_at_the_14th(kind, row):
        written.append(kind)
        if len(written) == 14:
            os.kill(os.getpid(), signal.SIGINT)
        return real(kind, row)

    real = export.row_line
    with monkeypatch.context() as patch:
        patch.setattr(export, "row_line", interrupt_at_the_14th)
        with pytest.raises(SystemExit) as ended:
            call_command("export", str(path), stdout=out)
    assert ended.value.code == 130
    counts = COUNTS.replace("12 jobs, 12 attempts, 6", "6 jobs, 0 attempts, 0")
    assert out.getvalue() == f"Interrupted: {counts}. Run the export again to continue.\n"
    output = run(path)
    assert f"Continuing {path} after 14 rows. If the service has run since" in output
    assert output.endswith(f"{path} is finished: {COUNTS}.\n")
    assert path.read_bytes() == (tmp_path / "whole").read_bytes()


def test_file_truncated_anywhere_is_completed(path):
    make_rows()
    run(path)
    whole = path.read_bytes()
    ends = [position + 1 for position, byte in enumerate(whole) if byte == ord("\n")]
    some = ends[1:-1:7]
    for length in [
        0,
        1,
        20,
        ends[0],
        *some,
        *(end + 1 for end in some),
        *(end - 1 for end in some),
        len(whole) - 1,
    ]:
        path.write_bytes(whole[:length])
        with opened(str(path)) as file:
            for _ in export.Export(file):
                pass
        assert path.read_bytes() == whole, length


def test_finished_export_is_not_changed(path):
    run(path)
    before = path.read_bytes()
    with pytest.raises(
        CommandError, match="is a finished export. Name another file, or remove it."
    ):
        run(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"hello\nworld\n",
        b"{}\n",
        b"\x00\xff" * 5000,
        b'{"format":"other","version":2}\n',
        b'{"format":"enrichlabs","version":3}\n{"kind":"vendor"}\n',
        b'{"format":"enrichlabs","version":2}\n[]\n{"kind":',
        b'{"format":"enrichlabs","version":2}\n{"kind":"user","id":"1"}\n{"kind":',
        b'{"format":"enrichlabs","version":1}\n{"kind":"vendor","id":"1"}\n{"kind":',
    ],
)
def test_file_that_is_not_an_export_of_this_version_is_not_changed(path, content):
    path.write_bytes(content)
    refusal = "already exists and can't be continued: (Line [12]|It is) .* Name another file."
    with pytest.raises(CommandError, match=refusal):
        run(path)
    assert path.read_bytes() == content


def test_two_exports_do_not_write_the_same_file(path):
    with opened(str(path)), pytest.raises(CommandError, match="Another export is writing"):
        run(path)


def test_unwritable_path_is_reported(tmp_path):
    for path in (tmp_path, tmp_path / "missing" / "file"):
        with pytest.raises(CommandError, match=f"Can't write {path}: "):
            run(path)


def test_export_is_refused_while_a_worker_runs_unless_live(path, redis_client):
    seconds, _ = redis_client.time()
    redis_client.zadd(HEARTBEATS, {"dead": (seconds - 60) * 1000})
    assert "is finished" in run(path)
    path.unlink()
    redis_client.zadd(HEARTBEATS, {"alive": seconds * 1000})
    with pytest.raises(
        CommandError,
        match="A worker is running. Rows that change during the export .* Stop the API",
    ):
        run(path)
    assert not path.exists()
    assert "is finished" in run(path, "--live")


def test_unreachable_redis_counts_as_no_worker(path, settings, tmp_path):
    from jobs.queue.redis import commands

    settings.REDIS_URL = f"unix://{tmp_path}/nowhere.sock"
    commands.cache_clear()
    try:
        assert "is finished" in run(path)
    finally:
        commands.cache_clear()
