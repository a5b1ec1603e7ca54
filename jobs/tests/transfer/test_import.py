"""`manage.py import` writes the rows of an exported file, does not change existing ones, and counts
at the end.
"""

import os
import signal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from audit.models import Entry
from clients import issuing
from clients.models import ApiKey, Client
from clients.tests.actors import OPERATOR
from jobs.models import Attempt, Batch, Callback, Job, RefusedItem
from jobs.queue.keys import HEARTBEATS, Keys, limit_keys
from jobs.tests.rows import all_rows, delete_rows, make_rows
from jobs.tests.transfer.edits import changed, columns, without
from jobs.tests.transfer.old_rows import make_attempt
from jobs.transfer import importing
from vendors.models import Credential, CredentialKey, Limit, Vendor

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]


def run(path, *arguments):
    """Run the command as a script would. Return its output."""
    out = StringIO()
    call_command("import", str(path), *arguments, stdout=out)
    return out.getvalue()


COUNTS = {
    "credentials": 0,
    "credential keys": 0,
    "limits": 0,
    "vendors": 2,
    "clients": 2,
    "batches": 2,
    "refused items": 2,
    "jobs": 12,
    "attempts": 12,
    "callbacks": 6,
}


def report(*written):
    """The output when so many rows of each kind were written, from vendors on: of those before,
    there are none.
    """
    text = "{0}: {1} in the file, {1} read, {2} written, {1} in the store\n"
    counts = zip(COUNTS.items(), (0, 0, 0, *written), strict=True)
    return "".join(text.format(name, whole, count) for (name, whole), count in counts)


def test_import_restores_every_row(path, rows, tmp_path):
    assert run(path) == report(2, 2, 2, 2, 12, 12, 6)
    assert all_rows() == rows
    call_command("export", str(tmp_path / "second"), stdout=StringIO())
    assert (tmp_path / "second").read_bytes() == path.read_bytes()


def test_credentials_and_limits_come_with_their_vendors(tmp_path, make_vendor, make_job):
    Credential.objects.create(slug="pdl", definition={"header": "X-Key", "keys_env": ["VENDOR_P"]})
    key = CredentialKey.objects.create(credential="pdl", name="VENDOR_P", paused=True)
    limit = Limit.objects.create(slug="team", definition={"windows": "9/min"})
    limit.save()
    Client.objects.create(slug="default")
    vendor = make_vendor(definition={"credential": "pdl", "limits": ["team"]})
    job = make_job(credential="VENDOR_P")
    charged = {"units": 5, "limits": ",team,", "credential": "VENDOR_P"}
    make_attempt(job.pk, **charged)
    stored, path = all_rows(), tmp_path / "rows.jsonl"
    call_command("export", str(path), stdout=StringIO())
    delete_rows()
    assert run(path).startswith("credentials: 1 in the file, 1 read, 1 written, 1 in the store")
    assert all_rows() == stored
    [row] = stored["vendor"]
    assert (row["membership"], row["version"]) == (vendor.membership, vendor.version)
    assert stored["attempt"][0].items() >= charged.items()
    key.delete()
    CredentialKey.objects.create(id="another", credential="pdl", name="VENDOR_P")
    assert "credential keys: 1 stored already" in run(path)
    assert CredentialKey.objects.get().pk == "another"


def test_second_import_writes_nothing(path, rows):
    run(path)
    assert run(path) == report(0, 0, 0, 0, 0, 0, 0)
    assert all_rows() == rows


def test_next_import_writes_the_rows_that_a_crash_left_out(path, rows):
    run(path)
    for model in (Vendor, Client, Batch, RefusedItem, Job, Attempt, Callback):
        ids = list(model.objects.order_by("pk").values_list("pk", flat=True))
        model.objects.filter(pk__in=ids[1::2]).delete()
    assert run(path) == report(1, 1, 1, 1, 6, 6, 3)
    assert all_rows() == rows


def test_interrupt_finishes_the_current_batch(path, rows, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK", 5)
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
    assert ended.value.code == 130
    assert out.getvalue() == "Interrupted: 13 rows written. Run the import again to continue.\n"
    assert run(path) == report(0, 0, 0, 0, 7, 12, 6)
    assert all_rows() == rows


def test_batches_are_bounded_in_bytes(path, rows, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_BYTES", 1)
    assert run(path) == report(2, 2, 2, 2, 12, 12, 6)


def test_existing_row_with_other_content_is_counted_but_not_changed(path, rows):
    run(path)
    Job.objects.filter(pk=rows["job"][0]["id"]).update(name="Another")
    Vendor.objects.filter(slug="acme").update(rate_limits="1/s")
    before = all_rows()
    output = run(path)
    assert output.startswith(report(0, 0, 0, 0, 0, 0, 0))
    assert output[len(report(0, 0, 0, 0, 0, 0, 0)) :] == (
        "vendors: 1 stored already with other content or under another id; not changed\n"
        "jobs: 1 stored already with other content or under another id; not changed\n"
    )
    assert all_rows() == before


def test_a_client_that_only_jobs_name_is_created_disabled(path, rows):
    changed(path, 4, lambda line: b"")
    changed(path, 4, lambda line: b"")  # the second client
    changed(path, 38, columns(client=0))
    sentence = "client billing: named by jobs or batches, but unknown; created, disabled\n"
    assert run(path).endswith(f"in the store\n{sentence}")
    assert sentence not in run(path)
    assert list(Client.objects.values_list("slug", "enabled")) == [
        ("billing", False),
        ("default", True),
    ]


def test_api_keys_and_audit_entries_stay_behind(tmp_path, rows):
    make_rows()
    client = Client.objects.get(slug="default")
    issued = issuing.create(client, OPERATOR, name="import", scopes="jobs:read")
    file = tmp_path / "with_key.jsonl"
    call_command("export", str(file), stdout=StringIO())
    for secret in (issued.text[4:12], issued.text[12:], issued.key.digest):
        assert secret not in file.read_text()
    ApiKey.objects.all().delete(), Entry.objects.all()._raw_delete("default"), delete_rows()
    run(file)
    assert not ApiKey.objects.exists()
    assert [entry.action for entry in Entry.objects.all()] == ["store.imported"]


def test_bad_line_is_reported_and_its_batch_is_not_written(path, rows, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK", 2)
    changed(path, 13, columns(name=None))
    with pytest.raises(CommandError) as refused:
        run(path)
    assert str(refused.value) == f"{path}: Line 13 has a value of name that can't be stored."
    assert [row["id"] for row in all_rows()["job"]] == [row["id"] for row in rows["job"][:2]]


def test_unfinished_export_is_refused_before_anything_is_written(path, rows):
    changed(path, 40, lambda line: b"")
    refusal = f"{path}: The export is not finished: its end line is missing"
    with pytest.raises(CommandError, match=refusal):
        run(path)
    assert not any(all_rows().values())


def test_column_missing_in_the_file_gets_its_default(path, rows):
    for number in range(10, 22):
        changed(path, number, without("stream"))
    assert run(path) == report(2, 2, 2, 2, 12, 12, 6)
    assert set(Job.objects.values_list("stream", flat=True)) == {"jobs"}


def test_file_without_one_of_its_rows_is_found_by_counting(path, rows):
    changed(path, 13, lambda line: b"")
    with pytest.raises(
        CommandError, match="The counts of jobs do not match. Run the import again; "
    ):
        run(path)


def test_rows_deleted_during_the_import_are_found_by_counting(path, rows, monkeypatch):
    monkeypatch.setattr(
        "jobs.management.commands.import.forget_limits", lambda: Attempt.objects.all().delete()
    )
    with pytest.raises(
        CommandError, match="The counts of attempts do not match. Run the import again; "
    ):
        run(path)
    monkeypatch.undo()
    assert run(path) == report(0, 0, 0, 0, 0, 12, 0)


def test_limiter_state_is_deleted_so_that_it_is_rebuilt(path, rows, redis_client, make_vendor):
    redis_client.hset(Keys("acme").state, "run_id", "known")
    Limit.objects.create(slug="team", definition={"windows": "9/min", "per": "credential"})
    keys = {"header": "X-Key", "keys_env": ["VENDOR_P"], "retired_env": ["VENDOR_R"]}
    Credential.objects.create(slug="pdl", definition=keys)
    make_vendor("pdl", definition={"credential": "pdl", "limits": ["team"]})
    shared = [limit_keys("team", name).state for name in ("VENDOR_P", "VENDOR_R")]
    for state in shared:
        redis_client.hset(state, "run_id", "known")
    run(path)
    assert not redis_client.exists(Keys("acme").state, *shared)


def test_import_is_refused_while_a_worker_runs_unless_live(path, rows, redis_client):
    seconds, _ = redis_client.time()
    redis_client.zadd(HEARTBEATS, {"alive": seconds * 1000})
    with pytest.raises(
        CommandError, match="A worker is running. It would start jobs before the attempts"
    ):
        run(path)
    assert not any(all_rows().values())
    assert run(path, "--live") == report(2, 2, 2, 2, 12, 12, 6)


def test_missing_file_is_reported(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CommandError, match=f"Can't read {path}: "):
            run(path)
