"""`manage.py import` writes an exported file's rows as they are, leaves alone what is there, and
counts at the end.
"""

import json
import os
import signal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from jobs.models import Attempt, Callback, Job
from jobs.queue.keys import HEARTBEATS, Keys
from jobs.tests.rows import all_rows, delete_rows, make_rows
from jobs.transfer import importing
from vendors.models import Vendor

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


@pytest.fixture
def path(tmp_path):
    """An exported file of rows that are no longer there."""
    make_rows()
    path = tmp_path / "rows.jsonl"
    call_command("export", str(path), stdout=StringIO())
    return path


@pytest.fixture
def rows(path):
    """What was exported; the store is empty now."""
    rows = all_rows()
    delete_rows()
    return rows


def run(path, *arguments):
    """Run the command as from a script and return what it says."""
    out = StringIO()
    call_command("import", str(path), *arguments, stdout=out)
    return out.getvalue()


def says(vendors, jobs, attempts, callbacks):
    """What is said when so many rows were written."""
    counts = {
        "vendors": (2, vendors),
        "jobs": (12, jobs),
        "attempts": (12, attempts),
        "callbacks": (6, callbacks),
    }
    text = "{}: {} in the file, {} read, {} written, {} are in the store\n"
    return "".join(
        text.format(name, whole, whole, written, whole) for name, (whole, written) in counts.items()
    )


def test_all_rows_are_there_again_as_they_were(path, rows, tmp_path):
    assert run(path) == says(2, 12, 12, 6)
    assert all_rows() == rows
    call_command("export", str(tmp_path / "again"), stdout=StringIO())
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_to_run_it_twice_writes_once(path, rows):
    run(path)
    assert run(path) == says(0, 0, 0, 0)
    assert all_rows() == rows


def test_what_a_crash_in_the_middle_left_out_is_written_at_the_next_run(path, rows):
    run(path)
    for model in (Vendor, Job, Attempt, Callback):
        ids = list(model.objects.order_by("pk").values_list("pk", flat=True))
        model.objects.filter(pk__in=ids[1::2]).delete()
    assert run(path) == says(1, 6, 6, 3)
    assert all_rows() == rows


def test_an_interrupt_lets_the_batch_in_hand_end(path, rows, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 5)
    real = importing._insert

    def insert(model, each):
        if model is Job:
            os.kill(os.getpid(), signal.SIGINT)
        real(model, each)

    out = StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(importing, "_insert", insert)
        with pytest.raises(SystemExit) as ended:
            call_command("import", str(path), stdout=out)
    assert (ended.value.code, out.getvalue()) == (
        130,
        "Interrupted: 7 rows written. Run it again for the rest.\n",
    )
    assert run(path) == says(0, 7, 12, 6)
    assert all_rows() == rows


def test_batches_are_bounded_by_what_memory_may_hold(path, rows, monkeypatch):
    monkeypatch.setattr(importing, "BATCH_BYTES", 1)
    assert run(path) == says(2, 12, 12, 6)


def test_a_row_that_is_there_with_other_content_is_left_alone_and_counted(path, rows):
    run(path)
    Job.objects.filter(pk=rows["job"][0]["id"]).update(name="Another")
    Vendor.objects.filter(slug="acme").update(rate_limits="1/s")
    before = all_rows()
    said = run(path)
    assert said.startswith(says(0, 0, 0, 0))
    assert said[len(says(0, 0, 0, 0)) :] == (
        "vendors: 1 were there with other content or under another id, and were left alone\n"
        "jobs: 1 were there with other content or under another id, and were left alone\n"
    )
    assert all_rows() == before


def test_a_vendor_that_is_there_under_another_id_keeps_its_settings(path, rows, make_vendor):
    mine = make_vendor("acme", url="https://mine.example/")
    said = run(path)
    assert said.startswith(says(1, 12, 12, 6))
    assert "vendors: 1 were there with other content or under another id" in said
    assert Vendor.objects.get(slug="acme").pk == mine.pk
    assert Vendor.objects.count() == 2


def test_a_callback_that_came_here_too_is_not_stored_twice(path, rows):
    other = {**rows["callback"][0], "id": "another"}
    Callback.objects.create(**other)
    said = run(path)
    assert said.startswith(says(2, 12, 12, 5))
    assert "callbacks: 1 were there" in said
    assert Callback.objects.count() == 6


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


def test_a_bad_line_is_named_and_nothing_of_it_is_written(path, rows, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 2)
    changed(path, 7, columns(name=None))
    with pytest.raises(CommandError) as refused:
        run(path)
    assert str(refused.value) == f"{path}: Line 7 has a value of name that can't be kept there."
    assert [row["id"] for row in all_rows()["job"]] == [row["id"] for row in rows["job"][:2]]


def test_an_unfinished_export_is_refused_before_anything_is_written(path, rows):
    changed(path, 34, lambda line: b"")
    with pytest.raises(
        CommandError,
        match=f"{path}: The last line is not that of a finished export. Run the export again",
    ):
        run(path)
    assert not any(all_rows().values())


def test_an_older_file_that_lacks_a_later_column_gets_its_default(path, rows):
    for number in range(4, 16):
        changed(path, number, without("stream"))
    assert run(path) == says(2, 12, 12, 6)
    assert set(Job.objects.values_list("stream", flat=True)) == {"jobs"}


NEW_SINCE_0_1_0 = ("arrival_margin_ms", "paused_at", "paused_by", "call_kind", "reply", "reason")


def test_a_file_of_release_0_1_0_gets_the_defaults_of_the_columns_it_lacks(path, rows):
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    older = [
        {name: value for name, value in line.items() if name not in NEW_SINCE_0_1_0}
        for line in lines
    ]
    assert len(older[1]) == len(lines[1]) - 3
    path.write_text("".join(json.dumps(line) + "\n" for line in older))
    assert run(path) == says(2, 12, 12, 6)
    assert all_rows() == rows


def test_a_file_that_lacks_a_row_is_found_by_its_counts(path, rows):
    changed(path, 7, lambda line: b"")
    with pytest.raises(CommandError, match="The numbers of jobs do not agree. Run it again; "):
        run(path)


def test_rows_that_vanish_meanwhile_are_found_by_the_count(path, rows, monkeypatch):
    monkeypatch.setattr(
        "jobs.management.commands.import.forget_limits", lambda: Attempt.objects.all().delete()
    )
    with pytest.raises(CommandError, match="The numbers of attempts do not agree. Run it again; "):
        run(path)
    monkeypatch.undo()
    assert run(path) == says(0, 0, 12, 0)


def test_limits_are_made_anew_from_what_was_written(path, rows, redis_client):
    redis_client.hset(Keys("acme").state, "run_id", "known")
    run(path)
    assert not redis_client.exists(Keys("acme").state)


def test_beside_a_living_worker_nothing_is_written_unless_that_is_wanted(path, rows, redis_client):
    seconds, _ = redis_client.time()
    redis_client.zadd(HEARTBEATS, {"alive": seconds * 1000})
    with pytest.raises(
        CommandError, match="A worker is alive. It would start jobs before the tries are there"
    ):
        run(path)
    assert not any(all_rows().values())
    assert run(path, "--live") == says(2, 12, 12, 6)


def test_a_file_that_is_not_there_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CommandError, match=f"{path} can't be read: "):
            run(path)
