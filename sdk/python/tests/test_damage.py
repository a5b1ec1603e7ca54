"""What the command makes of its own outputs, of damaged state files, and of odd answers."""

import json

import pytest
from enrichlabs_client.command.main import main
from scripted_peer import Reply

from conftest import KEY

VENDORS = Reply({"items": [{"slug": "acme", "enabled": True, "required_input": []}]})
POSTED = Reply({"batch_id": "b", "state": "running", "received": 2, "accepted": 2, "refused": 0})
FINISHED = {"batch_id": "b", "state": "finished", "received": 2, "counts": {"complete": 2}}
ODD = "\x1b[31m\x9b2J\u202e"


def line(index, **members):
    shown = {"index": index, "request_id": "j", "status": "complete", "result": {}, **members}
    return json.dumps(shown, ensure_ascii=False) + "\n"


def results(*lines, **batch):
    finished = Reply({**FINISHED, **batch})
    return [finished, finished, Reply("".join(lines).encode()), finished]


@pytest.fixture
def run(peer, tmp_path, monkeypatch, capsys):
    """Run the command with these replies. Returns its exit status, and what it said."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENRICHLABS_URL", peer.url)
    monkeypatch.setenv("ENRICHLABS_API_KEY", KEY)

    def run(script, *arguments):
        peer.script, peer.seen = list(script), []
        status = main(arguments)
        shown = capsys.readouterr()
        return status, shown.out + shown.err

    return run


@pytest.fixture
def submit(run, tmp_path):
    (tmp_path / "a.csv").write_text("name\nJohn\nJane\n")

    def submit(script, *more, file="a.csv", out="out.csv"):
        return run(script, "submit", file, "--vendor", "acme", "-o", out, *more)

    return submit


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_an_output_may_be_the_input_any_number_of_times(submit, tmp_path, ending):
    first = {"csv": "name\nJohn\nJane\n", "jsonl": '{"name":"John"}\n{"name":"Jane"}\n'}
    (tmp_path / f"0.{ending}").write_text(first[ending])
    for number in range(4):
        done = results(*(line(n, request_id=f"run-{number}") for n in (0, 1)))
        files = {"file": f"{number}.{ending}", "out": f"{number + 1}.{ending}"}
        assert submit([VENDORS, POSTED, *done], "--map", "name=name", "--wait", **files)[0] == 0
    written = (tmp_path / f"4.{ending}").read_text().splitlines()
    if ending == "csv":
        row = dict(zip(written[0].split(","), written[1].split(","), strict=True))
    else:
        row = json.loads(written[0])
    names = ["", "enrichlabs.", "enrichlabs.", "enrichlabs."]
    ends = ["", "", ".2", ".3"]
    for number, (name, end) in enumerate(zip(names, ends, strict=True)):
        assert row[f"{name}request_id{end}"] == f"run-{number}"
    assert len(row) == 1 + 4 * 6


DAMAGE = [
    *((f'"rows": {rows}', '"rows": 2') for rows in (0, -3000, '"2"', 1.5, "null", "true", 100000)),
    *((f'"first": {first}', '"first": 0') for first in (5, -1, '"a"')),
    *((f'"batch": {batch}', '"batch": "b"') for batch in (5, '""', "{}")),
    ('"submission": 5, "x": {', '"submission": {'),
    ('"key": "a\\nb", "x": "', '"key": "'),
    ('"key": 5, "x": "', '"key": "'),
    ('"refused": "0"', '"refused": 0'),
    ('"ends": true', '"ended": true'),
    ("5\n{", "{"),
    ("null\n{", "{"),
    ("[" * 100_000 + "\n{", "{"),
    ('{"ended": true}\n{', "{"),
]


def test_a_damaged_state_file_is_named(submit, tmp_path, methods):
    submit([VENDORS, POSTED])
    state = tmp_path / "out.csv.enrichlabs-state"
    whole = state.read_text()
    damaged = [whole.replace(old, new) for new, old in DAMAGE]
    damaged += [whole.partition("\n")[2], "no state", "\xff", whole.replace("{", "[")]
    twice = '{"first": 1, "rows": 1, "batch": "b", "refused": 0}\n'
    for content in [*damaged, whole + twice]:
        assert content != whole
        state.write_text(content, encoding="latin-1")
        status, said = submit([POSTED], "--wait")
        assert (status, methods()) == (2, []), content
        assert said.endswith(f"{state.name} is not a state file, or is damaged. Move it away.\n")
        assert state.read_text(encoding="latin-1") == content
    for rest in ('{"first": 0, "ro', ""):
        state.write_text(whole + rest)
        assert submit(results(line(0), line(1)), "--wait")[0] == 0
    state.write_bytes(b'{"subm\0\0')
    (tmp_path / "out.csv").unlink()
    assert submit([VENDORS, POSTED])[0] == 0


@pytest.fixture
def methods(peer):
    return lambda: [seen.method for seen in peer.seen]


def test_nothing_from_the_service_controls_the_terminal(submit, run, monkeypatch):
    refusal = {"index": 1, "status": 409, "code": "c", "detail": ODD, "pointer": ODD}
    posted = Reply({**POSTED.body, "batch_id": ODD, "refused": 1, "refusals": [refusal]})
    said = submit([VENDORS, posted], out="1.csv")[1]
    rows = [line(0, status=ODD), line(1, status="failed", result=None)]
    posted.body["refused"] = 0
    said += submit([VENDORS, posted, *results(*rows)], "--wait", out="2.csv")[1]
    said += submit([VENDORS, posted, *results(*rows)], "--wait", "--json", out="3.csv")[1]
    said += submit([Reply({"items": [{"slug": ODD}]})], out="4.csv")[1]
    odd = Reply({"request_id": "j", "status": ODD, ODD: ODD, "batch_id": ODD, "state": ODD})
    counted = Reply({**FINISHED, "counts": {ODD: 3, "x": [ODD]}})
    for script, *arguments in [
        ([odd], "job", "j"),
        ([odd], "job", "j", "--json"),
        ([counted], "batch", "b"),
        ([Reply({"items": [odd.body]})], "batches"),
        ([Reply({"items": [odd.body]})], "jobs", "--json"),
        ([Reply({"code": ODD, "detail": ODD}, 404)], "job", "j"),
    ]:
        said += run(script, *arguments)[1]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for form in ("csv", "jsonl"):
        said += run(
            [Reply(FINISHED), Reply("".join(rows).encode())], "results", "b", "--format", form
        )[1]
    assert said.replace("\n", "").isprintable()
    assert '"status": "\\u001b[31m\\u009b2J\\u202e"' in said


def test_results_go_to_another_program_as_they_are(run):
    script = [Reply(FINISHED), Reply((line(0, status="\x9b") + line(1)).encode())]
    assert "0,,\x9b," in run(script, "results", "b", "--format", "csv")[1]


@pytest.mark.parametrize(
    ("refused", "batch", "why"),
    [
        (0, {"received": 1}, "Jane,deleted,,deleted,The job of this row has been deleted"),
        (
            1,
            {"received": 1, "counts": {"cancelled": 1}},
            "Jane,refused,,not_received,The batch was cancelled before this row came.",
        ),
        (1, {"received": 1}, 'Jane,refused,,not_received,"The batch was closed before this row'),
        (1, {"received": 0}, 'Jane,missing,,missing,"The job of this row has been deleted from'),
        (-9, {"received": 1}, "Jane,deleted,,deleted,"),
    ],
)
def test_it_is_said_why_a_row_has_no_result(submit, tmp_path, refused, batch, why):
    posted = Reply({**POSTED.body, "refused": refused})
    lines = [line(0)] if batch["received"] else []
    assert submit([VENDORS, posted, *results(*lines, **batch)], "--wait")[0] == 1
    row = (tmp_path / "out.csv").read_text().splitlines()[2]
    assert why in row


def test_half_a_surrogate_pair_in_the_arguments(submit, run, peer, tmp_path):
    status, said = submit([VENDORS], "--reference", "\udce9")
    assert (status, "enrichlabs: The reference has half of a surrogate pair" in said) == (2, True)
    status, said = submit([VENDORS], "--map", "\udce9=name")
    assert (status, "A value is none that JSON can hold" in said) == (2, True)
    assert not list(tmp_path.glob("*enrichlabs*"))
    (tmp_path / "caf\udce9.csv").write_text("name\nJohn\nJane\n")
    assert submit([VENDORS, POSTED], file="caf\udce9.csv")[0] == 0
    assert peer.seen[-1].path.endswith("reference=caf%EF%BF%BD.csv")
