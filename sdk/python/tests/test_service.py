"""The client and the command against the real service: files in, files out, whatever interrupts."""

import json
import signal
from datetime import UTC, datetime, timedelta

import pytest
from enrichlabs_client import Client, ConflictError, NotFound
from service import Command, Service, read_rows, uploaded

pytestmark = pytest.mark.processes

SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
BOTH = [signal.SIGKILL, signal.SIGINT]
SUBMIT = ("submit", "people.csv", "--map", "name=Full Name", "-o", "results.csv", "--vendor")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    service = Service(tmp_path_factory.mktemp("service"))
    yield service
    service.server.kill()


@pytest.fixture
def api(service):
    with Client(service.url, service.key) as client:
        yield client


@pytest.fixture
def enrichlabs(service, tmp_path):
    started = []

    def start(*arguments, **options):
        started.append(Command(service, tmp_path, *arguments, **options))
        return started[-1]

    yield start
    for command in started:
        command.process.kill()
        command.process.wait()


@pytest.fixture
def write(tmp_path):
    """Write people.csv, whose rows are referred to by `reference`, and return its path."""

    def write(names, **more):
        lines = [f'"{name}",{number}' for number, name in enumerate(names)]
        path = tmp_path / "people.csv"
        path.write_text("\r\n".join(["Full Name,Number", *lines]), newline="")
        return path

    return write


def test_jobs_are_submitted_awaited_listed_and_retried(api):
    job = api.submit(vendor="quick", name="John Doe", options={"reference": "r-1"}, wait=10)
    assert (job.status, job.result["name"], job.reference) == ("complete", "John Doe", "r-1")
    assert [each.id for each in api.jobs(reference="r-1")] == [job.id]
    assert job.finished_at >= job.created_at
    failed = api.wait(api.submit({"vendor": "broken", "name": "Jane"}, idempotency_key="k").id)
    assert (failed.status, failed.error.code) == ("failed", api.get(failed.id).error.code)
    assert api.submit(vendor="broken", name="Jane", idempotency_key="k").id == failed.id
    assert api.retry(failed.id).run == 2
    slow = api.submit(vendor="slow", name="Jim", options={"not_before": SOON})
    held_by = api.get(slow.id).held_by
    assert (held_by.kind, held_by.until) == ("delay", datetime.fromisoformat(SOON))
    with pytest.raises(ConflictError):
        api.retry(slow.id)
    assert api.cancel(slow.id).status == "cancelled"
    with pytest.raises(NotFound):
        api.get("01a2036a-3737-730f-8b75-355ab24a179b")
    assert [vendor.slug for vendor in api.vendors()] == ["broken", "quick", "slow"]


def test_many_jobs_become_a_batch_with_results_in_order(api):
    jobs = [{"name": f"Person {n}"} if n != 3 else {"name": " "} for n in range(6)]
    given = {"vendor": "quick", "reference": "many", "key": "many"}
    (upload,) = api.submit_many(jobs, **given)
    assert (upload.accepted, upload.refused, upload.refusals[0].index) == (5, 1, 3)
    batch = api.wait_batch(upload.batch_id)
    assert (batch.received, batch.counts["complete"], batch.counts["refused"]) == (6, 5, 1)
    results = list(api.results(batch))
    assert [(r.index, r.status == "refused") for r in results] == [(n, n == 3) for n in range(6)]
    assert results[3].error.pointer == "/name"
    assert [r.result for r in api.results(batch, fields=["info"])][:1] == [
        {"info": "Processed sync"}
    ]
    assert api.submit_many(jobs, **given)[0].batch_id == batch.id
    assert [each.id for each in api.batches(reference="many")] == [batch.id]
    with pytest.raises(ConflictError, match=r"The key 'many' was used before, .* one set of jobs"):
        api.submit_many([{"name": "Other"}] * 3, **given)
    later = {"not_before": SOON}
    (held,) = api.submit_many([{"name": "J"}], vendor="slow", options=later)
    assert [r.status for r in api.results(held, partial=True)] == ["queued"]
    assert api.cancel_batch(held.batch_id).counts["cancelled"] == 1
    with pytest.raises(ConflictError) as caught:
        api.retry_batch(api.batch(held.batch_id, wait=5).id)
    assert caught.value.code == "nothing_to_retry"
    (upload,) = api.submit_many([{"name": "J"}], vendor="broken")
    assert api.wait_batch(upload.batch_id).counts["failed"] == 1
    assert api.retry_batch(upload.batch_id).state in ("running", "finished")


def test_results_are_written_beside_the_rows(enrichlabs, write, tmp_path, api):
    write(["John", "=1+1", " ", "Jürgen\nMüller"])
    command = enrichlabs(*SUBMIT, "quick", "--wait")
    assert command.end() == 1
    assert "results.csv: 4 rows, 3 complete, 1 refused." in command.said
    rows = read_rows(tmp_path / "results.csv")
    assert [row["Number"] for row in rows] == ["0", "1", "2", "3"]
    assert [row["status"] for row in rows] == ["complete", "complete", "refused", "complete"]
    assert rows[1]["Full Name"] == "'=1+1"
    assert rows[2]["error_code"] == "blank"
    assert json.loads(rows[3]["result"])["name"] == "Jürgen\nMüller"
    assert "ü" in rows[3]["result"]
    assert api.get(rows[0]["request_id"]).batch_index == 0

    # Once more: the same results, and no new batch.
    fields = enrichlabs(*SUBMIT, "quick", "--wait", "--fields", "info,name")
    assert fields.end() == 1
    rows = read_rows(tmp_path / "results.csv")
    assert (rows[0]["result.info"], rows[1]["result.name"]) == ("Processed sync", "'=1+1")
    assert len(list(api.batches(reference="people.csv"))) == 1

    write(["John"])
    changed = enrichlabs(*SUBMIT, "quick", "--wait")
    assert (changed.end(), "has changed since its rows were submitted" in changed.said) == (2, True)
    assert enrichlabs(*SUBMIT, "quick", "--wait", "--again").end() == 0
    assert len(read_rows(tmp_path / "results.csv")) == 1
    other = enrichlabs(*SUBMIT, "broken", "--wait")
    assert (other.end(), "another vendor" in other.said) == (2, True)
    (tmp_path / "results.csv.enrichlabs-state").unlink()
    foreign = enrichlabs(*SUBMIT, "quick", "--wait")
    assert (foreign.end(), "nothing says which submission" in foreign.said) == (2, True)


@pytest.mark.parametrize("number", BOTH)
def test_an_interrupted_upload_goes_on(enrichlabs, write, tmp_path, api, number):
    names = [f"Upload {number} {n}" for n in range(60)]
    command = [*SUBMIT, "quick", "--reference", f"upload {number}", "--wait"]
    write(names)
    for parts in (2, 6):
        running = enrichlabs(*command, lines=5)
        uploaded(tmp_path / "results.csv", parts)
        assert running.interrupt(number) == (130 if number == signal.SIGINT else -number)
        assert not (tmp_path / "results.csv").exists()
    assert ("Run the same command again" in running.said) == (number == signal.SIGINT)
    assert enrichlabs(*command, lines=5).end() == 0
    rows = read_rows(tmp_path / "results.csv")
    assert [row["Full Name"] for row in rows] == names
    assert [json.loads(row["result"])["name"] for row in rows] == names
    batches = [api.batch(each.id) for each in api.batches(reference=f"upload {number}")]
    assert [batch.received for batch in batches] == [5] * 12


@pytest.mark.parametrize("number", BOTH)
def test_an_interrupted_wait_goes_on(enrichlabs, write, tmp_path, api, number):
    write(["John", "Jane"])
    command = [*SUBMIT, "slow", "--reference", f"wait {number}", "--wait"]
    running = enrichlabs(*command)
    uploaded(tmp_path / "results.csv", 1)
    second = enrichlabs(*command)
    assert (second.end(), "Another command is working" in second.said) == (2, True)
    running.interrupt(number)
    assert enrichlabs(*command).end() == 0
    assert [row["status"] for row in read_rows(tmp_path / "results.csv")] == ["complete"] * 2
    assert len(list(api.batches(reference=f"wait {number}"))) == 1


def test_json_lines_in_and_out_without_waiting_first(enrichlabs, tmp_path):
    lines = ['{"name": "John", "n": 1234567890123456.7890}', '{"name": "Jane", "status": "mine"}']
    (tmp_path / "people.jsonl").write_text("\n".join(lines))
    first = enrichlabs("submit", "people.jsonl", "--vendor", "quick")
    assert first.end() == 0
    assert "enrichlabs submit people.jsonl --vendor quick --wait" in first.said
    batch_id = first.said.splitlines()[-2].split()[0]
    assert enrichlabs("submit", "people.jsonl", "--vendor", "quick", "--wait").end() == 0
    found = (tmp_path / "people.results.jsonl").read_text().splitlines()
    assert '"n":1234567890123456.7890' in found[0]
    assert json.loads(found[1])["status"] == "mine"
    assert json.loads(found[1])["enrichlabs.status"] == "complete"
    assert enrichlabs("results", batch_id, "-o", "raw.csv", "--fields", "name").end() == 0
    assert [row["result.name"] for row in read_rows(tmp_path / "raw.csv")] == ["John", "Jane"]


def test_the_other_commands(enrichlabs, api):
    job = api.submit(vendor="broken", name="John", options={"reference": "others"}, wait=10)
    for arguments, words in [
        (["vendors"], "quick  "),
        (["jobs", "--status", "failed", "--reference", "others"], job.id),
        (["job", job.id, "--wait"], job.error.code),
        (["retry", job.id], "run "),
        (["batches", "--limit", "1"], "batch_id"),
        (["cancel", "01a2036a-3737-730f-8b75-355ab24a179b"], "enrichlabs: "),
    ]:
        command = enrichlabs(*arguments)
        assert command.end() == {"cancel": 3, "job": 1}.get(arguments[0], 0), command.said
        assert words in command.said
        assert "Traceback" not in command.said
    in_json = enrichlabs("job", job.id, "--json")
    assert (in_json.end(), json.loads(in_json.said)["request_id"]) == (0, job.id)
