"""What the command records of a submission, whom it is for, and what it says at the end."""

import codecs
import json

import pytest
from enrichlabs_client.command.main import main
from enrichlabs_client.http import retries
from scripted_peer import CUT, Reply

from conftest import KEY

VENDORS = Reply({"items": [{"slug": "acme", "enabled": True, "required_input": []}]})
POSTED = Reply({"batch_id": "b", "state": "running", "received": 1, "accepted": 1, "refused": 0})
FINISHED = {"batch_id": "b", "state": "finished", "received": 1, "counts": {"complete": 1}}
DONE = b'{"index":0,"request_id":"j","status":"complete","result":{}}\n'
RESULTS = [Reply(FINISHED), Reply(FINISHED), Reply(DONE)]
OTHER_KEY = "elk_OTHERKEY" + "0" * 38
AGAIN = "Run the same command again"


def refused(status, code="made_up", retry_after=60):
    return Reply({"code": code, "detail": "Sentence."}, status, {"Retry-After": f"{retry_after}"})


@pytest.fixture
def run(peer, tmp_path, monkeypatch, capsys):
    """Run the command with these replies. Returns its exit status, and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENRICHLABS_URL", peer.url)
    monkeypatch.setenv("ENRICHLABS_API_KEY", KEY)
    monkeypatch.setattr(retries, "PATIENCE_SECONDS", 0)
    (tmp_path / "people.csv").write_text("name\nJohn\n")

    def run(script, *arguments):
        peer.script, peer.seen = list(script), []
        status = main(arguments)
        shown = capsys.readouterr()
        return status, shown.out + shown.err

    return run


@pytest.fixture
def submit(run):
    def submit(script, *arguments):
        return run(script, "submit", "people.csv", "--vendor", "acme", *arguments)

    return submit


@pytest.fixture
def state(tmp_path):
    return tmp_path / "people.results.csv.enrichlabs-state"


@pytest.fixture
def methods(peer):
    return lambda: [seen.method for seen in peer.seen]


def test_the_key_of_another_client_is_refused_before_any_upload(
    submit, state, methods, monkeypatch
):
    assert submit([VENDORS, POSTED])[0] == 0
    assert KEY[:12] in state.read_text()
    assert KEY[12:] not in state.read_text()
    for key in (OTHER_KEY, ""):
        monkeypatch.setenv("ENRICHLABS_API_KEY", key)
        status, said = submit([refused(404)])
        assert (status, methods()) == (2, ["GET"])
        assert "This submission belongs to another client." in said
        assert "Use its key, another output with -o, or --again" in said
        assert AGAIN not in said


def test_a_rotated_key_goes_on_and_is_recorded(submit, methods, monkeypatch):
    submit([VENDORS, POSTED])
    monkeypatch.setenv("ENRICHLABS_API_KEY", OTHER_KEY)
    assert submit([Reply(FINISHED), *RESULTS], "--wait")[0] == 0
    assert methods() == ["GET"] * 4
    assert submit(RESULTS, "--wait")[0] == 0
    assert methods() == ["GET"] * 3


def test_without_an_answer_so_far_another_key_is_refused(submit, methods, monkeypatch):
    status, said = submit([VENDORS, CUT])
    assert (status, AGAIN in said) == (3, True)
    monkeypatch.setenv("ENRICHLABS_API_KEY", OTHER_KEY)
    status, said = submit([POSTED])
    assert (status, methods()) == (2, [])
    assert "belongs to another client" in said
    monkeypatch.setenv("ENRICHLABS_API_KEY", KEY)
    assert submit([POSTED])[0] == 0


@pytest.mark.parametrize("status", [400, 401, 403, 413, 422])
def test_an_upload_that_is_refused_as_a_whole_leaves_what_was_there(submit, state, status):
    submit([VENDORS, refused(status)])
    assert not state.exists()
    submit([VENDORS, POSTED])
    before = state.read_bytes()
    submit([VENDORS, refused(status)], "--again")
    assert state.read_bytes() == before


def test_an_upload_that_may_have_begun_stays_recorded(submit, state, peer, monkeypatch, pauses):
    monkeypatch.setattr(retries, "PATIENCE_SECONDS", 60)
    submit([VENDORS, CUT, refused(401)])
    key = peer.seen[-1].headers["Idempotency-Key"]
    submit([refused(401)])
    assert submit([POSTED])[0] == 0
    assert peer.seen[-1].headers["Idempotency-Key"] == key


@pytest.mark.parametrize(
    ("reply", "can_go_on"),
    [(refused(status), status in (429, 503)) for status in (401, 403, 404, 409, 429, 503)],
)
def test_the_command_says_to_go_on_only_if_that_helps(submit, reply, can_go_on):
    status, said = submit([reply])
    assert status == 3
    assert (AGAIN in said) == can_go_on


def test_a_batch_that_is_gone_is_explained(submit, state):
    submit([VENDORS, POSTED])
    status, said = submit([refused(404)], "--wait")
    assert status == 3
    assert f"Sentence. {state.name} records it" in said
    assert "--again" in said


def test_a_batch_that_was_closed_without_these_rows(submit):
    submit([VENDORS, CUT])
    status, said = submit([refused(422, "idempotency_key_reused")])
    assert (status, "was closed without them. Use --again" in said) == (2, True)


def test_other_arguments_are_named(submit):
    submit([VENDORS, POSTED])
    _, said = submit([], "--map", "n=name", "--option", "expires_in=9", "--reference", "r")
    assert "with another reference, another mapping (--map) and other options (--option)." in said


def test_what_was_refused_is_told_again(submit):
    reply = Reply({**POSTED.body, "accepted": 0, "refused": 1})
    for script in ([VENDORS, reply], [reply]):
        status, said = submit(script)
        assert (status, "\n1 row was refused;" in said, "b  1 row\n" in said) == (1, True, True)
    assert "Continuing the submission recorded in people.results.csv.enrichlabs-state." in said


def test_an_error_is_said_once(submit):
    def problem(*details):
        errors = [{"parameter": "options/a", "code": "c", "detail": each} for each in details]
        return Reply({"code": "c", "detail": "Must be b.", "errors": errors}, 400)

    _, said = submit([VENDORS, problem("Must be b.")])
    assert said.endswith("enrichlabs: options/a: Must be b.\n")
    _, said = submit([VENDORS, problem("Must be c.", "Must be d.")])
    assert said.endswith("enrichlabs: Must be b. options/a: Must be c. options/a: Must be d.\n")


ROWS = "name;city\nJürgen;Ulm\n"


@pytest.mark.parametrize(
    ("encoding", "ending", "begin"),
    [
        ("utf-8", "csv", b"name;city;status"),
        ("cp1252", "csv", codecs.BOM_UTF8 + b"name;city;status"),
        ("utf-16", "txt", codecs.BOM_UTF8 + b"name;city;status"),
        ("utf-8-sig", "tsv", codecs.BOM_UTF8 + b"name\tcity\tstatus"),
        ("cp1252", "ndjson", b'{"name":"J'),
    ],
)
def test_the_output_is_as_a_spreadsheet_needs_it(submit, tmp_path, encoding, ending, begin):
    (tmp_path / "people.csv").write_bytes(ROWS.encode(encoding))
    status, said = submit([VENDORS, POSTED, *RESULTS], "--wait", "-o", f"out.{ending}")
    assert (status, f"out.{ending}: 1 row, 1 complete." in said) == (0, True)
    written = (tmp_path / f"out.{ending}").read_bytes()
    assert written.startswith(begin)
    assert "Jürgen".encode() in written


@pytest.mark.parametrize(
    ("row", "summary", "may_succeed"),
    [
        ({"status": "complete", "outcome": "no_data"}, "1 complete (1 without data)", False),
        (
            {"status": "failed", "error": {"code": "invalid_input", "message": "S."}},
            "failed",
            False,
        ),
        ({"status": "failed", "error": {"code": "vendor_error", "message": "S."}}, "failed", True),
    ],
)
def test_a_retry_is_offered_if_it_may_bring_a_result(submit, row, summary, may_succeed):
    result = Reply(json.dumps({"index": 0, "request_id": "j", **row}).encode() + b"\n")
    _, said = submit([VENDORS, POSTED, *RESULTS[:2], result], "--wait")
    assert summary in said
    assert ("enrichlabs retry b" in said) == may_succeed


def test_results_end_with_a_summary(run, tmp_path):
    refusal = {"index": 1, "status": "refused", "error": {"code": "blank", "message": "Sentence."}}
    batch = Reply({**FINISHED, "received": 2})
    script = [batch, Reply(DONE + json.dumps(refusal).encode() + b"\n")]
    assert run(script, "results", "b", "-o", "r.tsv") == (
        1,
        "r.tsv: 2 rows, 1 complete, 1 refused.\n",
    )
    assert (tmp_path / "r.tsv").read_text().startswith("index\treference\t")
    status, said = run(script, "results", "b")
    assert (status, said.endswith("\n2 rows, 1 complete, 1 refused.\n")) == (1, True)
    status, said = run([], "results", "b", "-o", "r.xlsx")
    assert (status, "r.xlsx is not written" in said) == (2, True)
    status, said = run([], "results", "b", "-o", "nowhere/r.csv")
    assert (status, said) == (2, "enrichlabs: There is no folder nowhere. Create it first.\n")
    status, said = run([batch, refused(409, "not_finished")], "results", "b")
    assert (
        status,
        "Batch b is not finished. Wait for it with `enrichlabs batch b --wait`" in said,
    ) == (3, True)


def test_acts_on_a_batch(run):
    status, said = run([refused(404), refused(409, "nothing_to_retry")], "retry", "b")
    assert (status, said) == (3, "enrichlabs: Sentence.\n")
    _, said = run([refused(404), refused(404)], "cancel", "b")
    assert said == "enrichlabs: There is no job or batch with this id.\n"
    counts = {"queued": 0, "complete": 3, "failed": 1}
    _, said = run([Reply({**FINISHED, "counts": counts})], "batch", "b")
    assert "counts    complete 3, failed 1\n" in said


@pytest.mark.parametrize("arguments", [("jobs", "--limit", "x"), ("results", "b", "--fields", "")])
def test_wrong_arguments_are_explained(run, capsys, arguments):
    with pytest.raises(SystemExit, match="2"):
        run([], *arguments)
    assert "error: argument --" in (said := capsys.readouterr().err)
    assert ": must be " in said


def test_fields_are_columns_once_each(run, tmp_path):
    script = [Reply(FINISHED), Reply(DONE)]
    run(script, "results", "b", "--fields", "a, b,a", "-o", "r.csv")
    assert ",result.a,result.b,request_id" in (tmp_path / "r.csv").read_text()


def test_vendors_of_a_key(submit):
    _, said = submit([VENDORS], "--vendor", "acne")
    assert "There is no vendor acne. Your key may use: acme.\n" in said
