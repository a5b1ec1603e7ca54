"""A number keeps the digits it was sent with: at the vendor, at the client and in an export."""

from io import BytesIO, StringIO

import pytest
from django.core.management import call_command

from clients.models import Client
from harness.vendor.server import Server, answering, reply
from jobs.callbacks import tokens
from jobs.models import Job
from jobs.tests.rows import delete_rows

LONG = "1234567890123456.789"
REPLY = f'{{"price": {LONG}, "tiny": 1e-400}}'.encode()


@pytest.fixture
def server(transactional_db):
    server = Server(answering(reply(body=REPLY)))
    yield server
    server.stop()


def post(client, vendor):
    numbers = f'"price": {LONG}, "more": [{{"deep": {LONG}}}], "plain": 0.5'
    body = f'{{"vendor": "{vendor}", "name": "John Doe", {numbers}}}'
    answer = client.post("/jobs", body, content_type="application/json")
    return answer.json()["request_id"]


def test_digits_survive_from_client_to_vendor_and_back(client, server, make_vendor, start_worker):
    make_vendor(url=server.url)
    job_id = post(client, "acme")
    start_worker("--drain").end()
    assert server.requests[0].endswith(
        f'{{"name":"John Doe","price":{LONG},"more":[{{"deep":{LONG}}}],"plain":0.5}}'.encode()
    )
    assert (
        f'"result":{{"price":{LONG},"tiny":1e-400}}'
        in client.get(f"/jobs/{job_id}").content.decode()
    )


def test_digits_survive_from_callback_to_client_and_through_an_export(
    client, make_vendor, redis_client, tmp_path, transactional_db
):
    Client.objects.create(slug="default")  # which an import would add
    make_vendor(adapter="async")
    job_id = post(client, "acme")
    Job.objects.update(status="waiting", attempt=1)
    url = f"/vendor-webhook/acme/{job_id}?token={tokens.make('acme', job_id, 1, 1)}"
    assert client.post(url, REPLY, content_type="application/json").status_code == 200
    path = tmp_path / "rows"
    call_command("export", str(path), stdout=StringIO())
    delete_rows()
    call_command("import", str(path), stdout=StringIO())
    call_command("export", str(tmp_path / "second"), stdout=StringIO())
    assert (tmp_path / "second").read_bytes() == path.read_bytes()
    assert (
        f'"result":{{"price":{LONG},"tiny":1e-400}}'
        in client.get(f"/jobs/{job_id}").content.decode()
    )


@pytest.mark.parametrize("number", ["0." + "1" * 1000, "1e999", "1" * 1001])
def test_a_number_out_of_bounds_is_refused(client, make_vendor, number):
    make_vendor()
    body = BytesIO(f'{{"vendor": "acme", "name": "John Doe", "n": {number}}}'.encode())
    assert (
        client.post("/jobs", body.read(), content_type="application/json").json()["code"]
        == "invalid_json"
    )
