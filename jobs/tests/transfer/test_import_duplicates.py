"""`manage.py import` keeps the first of two rows that may not both exist: two vendors or clients
with the same slug, two copies of a callback, two jobs of a client with the same idempotency key.
"""

from io import StringIO

import pytest
from django.core.management import call_command

from clients.models import Client
from jobs.models import Attempt, Batch, Callback, Job, RefusedItem
from jobs.tests.rows import all_rows
from jobs.tests.transfer.edits import changed, columns, without
from jobs.transfer import importing
from vendors.models import Vendor

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_client")]

LEFT_OUT = (
    "jobs: 1 of these left out, because another job of the client has the idempotency key, or the "
    "place in the batch; their attempts and callbacks are imported, since the calls count against "
    "the vendors' limits\n"
)


def run(path):
    """Run the command as a script would. Return its output."""
    out = StringIO()
    call_command("import", str(path), stdout=out)
    return out.getvalue()


def report(kind, count, written):
    return f"{kind}: {count} in the file, {count} read, {written} written, {count} in the store\n"


def different(kind, count):
    return f"{kind}: {count} stored already with other content or under another id; not changed\n"


def test_vendor_stored_under_another_id_keeps_its_settings(path, rows, make_vendor):
    mine = make_vendor("acme", url="https://mine.example/")
    output = run(path)
    assert report("vendors", 2, written=1) in output
    assert "vendors: 1 stored already with other content or under another id" in output
    assert Vendor.objects.get(slug="acme").pk == mine.pk
    assert Vendor.objects.count() == 2


def test_client_stored_under_another_id_keeps_its_settings(path, rows):
    mine = Client.objects.create(slug="billing", request_limits="1/h")
    output = run(path)
    assert report("clients", 2, written=1) in output
    assert "clients: 1 stored already with other content or under another id" in output
    kept = Client.objects.get(slug="billing")
    assert (kept.pk, kept.enabled, kept.request_limits) == (mine.pk, True, "1/h")
    assert Job.objects.filter(client="billing").count() == 8


def test_callback_received_by_both_stores_is_stored_once(path, rows):
    other = {**rows["callback"][0], "id": "another"}
    Callback.objects.create(**other)
    output = run(path)
    assert report("callbacks", 6, written=5) in output
    assert "callbacks: 1 stored already" in output
    assert Callback.objects.count() == 6


def test_a_job_whose_idempotency_key_is_taken_is_not_written(path, rows):
    taken = next(row for row in rows["job"] if row["idempotency_key"])
    names = {"client": taken["client"], "idempotency_key": taken["idempotency_key"]}
    mine = Job.new(vendor="acme", name="x", input={}, **names)
    mine.save(force_insert=True)
    other = Job.new(vendor="acme", name="x", input={}, **{**names, "client": "other"})
    other.save(force_insert=True)
    for written in (11, 0):
        output = run(path)
        assert report("jobs", 12, written) in output
        assert different("jobs", 1) + LEFT_OUT in output
    assert Attempt.objects.filter(job=taken["id"]).exists()
    assert Callback.objects.filter(job=taken["id"]).exists()
    assert Job.owned.by(names["client"]).get(idempotency_key=names["idempotency_key"]) == mine
    assert not Job.objects.filter(pk=taken["id"]).exists()


@pytest.mark.parametrize("chunk", [1, 500])
@pytest.mark.parametrize(
    ("kind", "lines", "column"),
    [
        ("vendor", (2, 3), "slug"),
        ("client", (4, 5), "slug"),
        ("job", (11, 15), "idempotency_key"),  # both are of the client billing
        ("callback", (34, 39), "key"),
    ],
)
def test_of_two_rows_with_one_unique_value_the_first_is_kept(
    path, rows, monkeypatch, *, chunk, kind, lines, column
):
    monkeypatch.setattr(importing, "CHUNK", chunk)
    numbers = {"vendor": 2, "client": 4, "job": 10, "callback": 34}
    first, second = (rows[kind][line - numbers[kind]] for line in lines)
    changed(path, lines[1], columns(**{column: first[column]}))
    count = len(rows[kind])
    for written in (count - 1, 0):
        output = run(path)
        assert report(f"{kind}s", count, written) in output
        assert different(f"{kind}s", 1) in output
    kept = [row for row in rows[kind] if row["id"] != second["id"]]
    assert [row for row in all_rows()[kind] if row["id"] in {each["id"] for each in kept}] == kept
    assert not importing.KINDS[kind]._default_manager.filter(pk=second["id"]).exists()


def test_jobs_of_two_clients_may_have_one_idempotency_key(path, rows):
    changed(path, 15, columns(idempotency_key="key-1", client="default"))
    output = run(path)
    assert report("jobs", 12, written=12) in output
    assert "left out" not in output


def test_a_job_whose_place_in_its_batch_is_taken_is_not_written(path, rows):
    taken = next(row for row in rows["job"] if row["batch"])
    place = {"batch": taken["batch"], "batch_index": taken["batch_index"]}
    Job.new(vendor="acme", name="x", input={}, **place).save(force_insert=True)
    for written in (11, 0):
        output = run(path)
        assert report("jobs", 12, written) in output
        assert different("jobs", 1) + LEFT_OUT in output
    assert not Job.objects.filter(pk=taken["id"]).exists()


def test_a_batch_whose_idempotency_key_is_taken_is_not_written(path, rows):
    taken = rows["batch"][0]
    mine = Batch.new(taken["client"], idempotency_key=taken["idempotency_key"])
    mine.save(force_insert=True)
    for written in (1, 0):
        output = run(path)
        assert report("batches", 2, written) in output
        assert "batches: 1 of these left out, because another batch of the client has" in output
    assert not Batch.objects.filter(pk=taken["id"]).exists()
    assert Job.of_batch(taken["id"]).count() == RefusedItem.of_batch(taken["id"]).count() == 2


def test_a_value_that_a_stored_row_no_longer_has_is_free(path, rows):
    run(path)
    Job.objects.filter(pk=rows["job"][1]["id"]).update(idempotency_key="changed")
    Job.objects.filter(pk=rows["job"][5]["id"]).delete()
    changed(path, 15, columns(idempotency_key="key-1"))
    assert report("jobs", 12, written=1) in run(path)
    assert Job.owned.by("billing").get(idempotency_key="key-1").pk == rows["job"][5]["id"]


def test_a_job_with_a_key_but_no_client_is_the_default_clients(path, rows):
    changed(path, 13, without("client"))
    assert report("jobs", 12, written=12) in run(path)
    assert Job.owned.by("default").filter(idempotency_key="key-3").exists()
