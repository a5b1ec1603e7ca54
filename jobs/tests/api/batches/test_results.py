"""GET /batches/{batch_id}/results: a line for each item in order, as JSON lines or as CSV."""

import csv
import io
import json

import pytest
from django.db import OperationalError

from jobs.api.access import slots
from jobs.api.batches import results
from jobs.models import RefusedItem
from jobs.tests.batch_rows import add_item, make_batch
from vendors.payloads import exact

pytestmark = pytest.mark.django_db

TEXT = '{"name":"Zo\\u00eb","score":1234567890123456.789,"city":{"name":"Ulm\\r\\n\\"x\\""}}'
ROW = exact.read(TEXT)


@pytest.fixture(autouse=True)
def places():
    """Every place is free before and after a test."""
    assert slots.transfers._taken == 0
    yield
    assert slots.transfers._taken == 0


def read(client, batch, query=""):
    """Return the whole file. The test client closes it then, as a server does."""
    answer = client.get(f"/batches/{batch.pk}/results?{query}")
    assert answer.status_code == 200, answer.content
    return answer.getvalue()


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text.decode(), newline="")))


def lines_of(text):
    return [json.loads(line) for line in text.decode("ascii").splitlines()]


@pytest.fixture
def batch():
    """A batch of one item of each kind, which were not stored in their order."""
    batch = make_batch(state="running")
    failed = {"error_code": "invalid_input", "error_message": "=1+1 was refused."}
    add_item(batch, 3, "failed", **failed)
    add_item(batch, 2, "refused")
    add_item(batch, 0, "complete", result=ROW, reference="-7")
    add_item(batch, 1, "cancelled")
    RefusedItem.objects.update(errors=[{"pointer": "/vendor", "code": "x", "detail": "x"}])
    return batch


def test_json_lines_have_every_item_in_order(client, batch):
    answer = client.get(f"/batches/{batch.pk}/results")
    assert (answer["Content-Type"], answer["Cache-Control"]) == ("application/x-ndjson", "no-store")
    first, second, third, fourth = lines_of(answer.getvalue())
    times = {"created_at": first["created_at"], "finished_at": "2026-05-01T12:00:00Z"}
    shown = client.get(f"/jobs/{first['request_id']}").json()
    assert first == {
        **{"index": 0, "request_id": shown["request_id"], "reference": "-7"},
        **{"status": "complete", "outcome": "found", "result": ROW, **times},
    }
    assert first["created_at"] == shown["created_at"]
    assert (second["status"], "result" in second, "error" in second) == ("cancelled", False, False)
    assert third == {
        **{"index": 2, "request_id": None, "reference": None, "status": "refused"},
        **{"created_at": None, "finished_at": None},
        "error": {"code": "unknown_vendor", "message": "No.", "pointer": "/vendor"},
    }
    assert fourth["error"] == {"code": "invalid_input", "message": "=1+1 was refused."}


def test_csv_has_every_item_in_order(client, batch):
    text = read(client, batch, "format=csv")
    header, *_ = text.split(b"\r\n")
    assert header == (
        b"index,request_id,reference,status,outcome,error_code,error_message,created_at,"
        b"finished_at,result"
    )
    found = rows_of(text)
    assert [(row["index"], row["status"]) for row in found] == [
        *(("0", "complete"), ("1", "cancelled"), ("2", "refused"), ("3", "failed"))
    ]
    assert json.loads(found[0]["result"]) == ROW
    assert "Zoë" in found[0]["result"]
    assert found[0]["reference"] == "'-7"
    assert found[2]["request_id"] == found[2]["created_at"] == found[2]["result"] == ""
    assert (found[3]["error_code"], found[3]["error_message"]) == (
        *("invalid_input", "'=1+1 was refused."),
    )


def test_requested_fields_have_columns_of_their_own(client, batch):
    found = rows_of(read(client, batch, "format=csv&fields=name,city.name,score,city,none"))
    assert {key: value for key, value in found[0].items() if key.startswith("result")} == {
        "result.name": "Zoë",
        "result.city.name": 'Ulm\r\n"x"',
        "result.score": "1234567890123456.789",
        "result.city": '{"name":"Ulm\\r\\n\\"x\\""}',
        "result.none": "",
    }
    assert found[1]["result.name"] == ""
    [first, *_] = lines_of(read(client, batch, "fields=name,city.name,name.x"))
    assert first["result"] == {"name": "Zoë", "city": {"name": 'Ulm\r\n"x"'}}


def test_an_item_without_data_is_complete_and_its_result_null(client):
    batch = make_batch()
    add_item(batch, 0, "complete", outcome="no_data", result=None)
    add_item(batch, 1, "complete", outcome="found", result=[{"name": "Zoë"}, 1])
    for query, second in (("", [{"name": "Zoë"}, 1]), ("fields=name", {})):
        found = lines_of(read(client, batch, query))
        assert [(line["status"], line["outcome"], line["result"]) for line in found] == [
            *(("complete", "no_data", None), ("complete", "found", second))
        ]
    for query, column in (("", "result"), ("&fields=name", "result.name")):
        [first, _] = rows_of(read(client, batch, f"format=csv{query}"))
        assert (first["status"], first["outcome"], first[column]) == ("complete", "no_data", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(client, start):
    batch = make_batch()
    row = {"text": f"{start}1", "number": -1, "list": [f"{start}1"]}
    add_item(batch, 0, "complete", result=row, reference=f"{start}A1")
    [found] = rows_of(read(client, batch, "format=csv&fields=text,number,list"))
    assert found["result.text"] == f"'{start}1"
    assert found["result.number"] == "-1"
    assert json.loads(found["result.list"]) == [f"{start}1"]
    assert found["reference"] == f"'{start}A1"


@pytest.mark.sqlite
@pytest.mark.parametrize("fields", ["a,,b", ".a", "a.", "a,a", ","])
def test_fields_without_a_name_or_named_twice_are_refused(client, batch, fields):
    answer = client.get(f"/batches/{batch.pk}/results?fields={fields}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_fields")


def test_results_of_an_unfinished_batch_are_given_if_asked_for(client):
    batch = make_batch("complete", "waiting", state="receiving")
    answer = client.get(f"/batches/{batch.pk}/results")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_finished")
    found = lines_of(read(client, batch, "partial=true"))
    assert [line["status"] for line in found] == ["complete", "processing"]


def test_an_item_that_was_refused_and_is_a_job_has_the_line_of_the_job(client):
    batch = make_batch("refused", "refused", "complete")
    add_item(batch, 1, "complete", result={})
    found = lines_of(read(client, batch))
    assert [line["status"] for line in found] == ["refused", "complete", "complete"]


@pytest.mark.parametrize("sizes", [{"PAGE_ROWS": 2}, {"PAGE_BYTES": 1}, {"PART_BYTES": 1}])
def test_pages_of_any_size_give_the_same_file(client, monkeypatch, sizes):
    batch = make_batch(*["complete", "refused", "refused", "refused", "failed"] * 3, "complete")
    add_item(batch, 40, "complete", result={"a": 1})
    whole = read(client, batch)
    for name, value in sizes.items():
        monkeypatch.setattr(results, name, value)
    assert read(client, batch) == whole
    assert [line["index"] for line in lines_of(whole)] == [*range(16), 40]


def test_an_empty_batch_has_an_empty_file(client):
    batch = make_batch()
    assert read(client, batch) == b""
    assert len(rows_of(read(client, batch, "format=csv"))) == 0


@pytest.mark.sqlite
def test_a_failure_of_the_store_is_no_end_of_the_file(client, batch, monkeypatch, caplog):
    monkeypatch.setattr(results, "PAGE_ROWS", 1)
    monkeypatch.setattr(results, "PART_BYTES", 1)
    read_page, pages = results._jobs, []

    def failing(batch_id, first):
        pages.append(first)
        if len(pages) == fails_at:
            raise OperationalError("no such row: Zoë")
        return read_page(batch_id, first)

    monkeypatch.setattr(results, "_jobs", failing)
    fails_at = 3
    answer = client.get(f"/batches/{batch.pk}/results")
    with pytest.raises(ConnectionResetError):
        answer.getvalue()
    assert "cut short" in caplog.text
    assert "Zoë" not in caplog.text
    fails_at = len(pages) + 1
    assert client.get(f"/batches/{batch.pk}/results").status_code == 503


@pytest.mark.sqlite
def test_a_download_occupies_a_place_until_it_is_closed(client, batch, monkeypatch):
    monkeypatch.setattr(slots.transfers, "limit", 1)
    path = f"/batches/{batch.pk}/results"
    started = client.get(path)._iterator
    next(started)
    refused = client.get(path)
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert refused.has_header("Retry-After")
    assert client.head(path).status_code == 200
    started.close()
    assert read(client, batch)
