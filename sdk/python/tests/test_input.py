"""What the command makes of input files: all rows, or the line that is wrong before a post."""

import json
import re

import pytest
from enrichlabs_client.command import files
from enrichlabs_client.command.main import main
from scripted_peer import Reply

VENDORS = Reply({"items": [{"slug": "acme", "enabled": True, "required_input": ["name"]}]})
POSTED = {"batch_id": "b", "state": "running", "received": 1, "accepted": 1, "refused": 0}


@pytest.fixture
def submit(peer, tmp_path, capsys):
    """Run `enrichlabs submit`. Returns its exit status, the posted jobs, and what it said."""
    peer.script = [VENDORS, Reply(POSTED, 202)]

    def submit(content, *arguments, name="people.csv", vendor=("--vendor", "acme")):
        path = tmp_path / name
        path.write_bytes(content)
        status = main(["submit", str(path), "--url", peer.url, *vendor, *arguments])
        jobs = [json.loads(line) for seen in peer.seen for line in seen.body.splitlines()]
        return status, jobs, capsys.readouterr().err

    return submit


ROWS = [
    pytest.param(b"name,city\nJohn,Ulm\n", "Ulm", id="plain"),
    pytest.param(b"\xef\xbb\xbfname,city\r\nJohn,Ulm\r\n", "Ulm", id="byte order mark and CRLF"),
    pytest.param(b"name;city\nJohn;Ulm, old", "Ulm, old", id="semicolon, no end of line"),
    pytest.param(b"name\tcity\nJohn\tUlm;\n", "Ulm;", id="tab"),
    pytest.param(b'name,city\nJohn,"Ulm\r\nWest ""2"""\n', 'Ulm\r\nWest "2"', id="newline"),
    pytest.param(b"name,city\rJohn,Ulm\r", "Ulm", id="carriage returns"),
    pytest.param(b"\nname;city\n\n\nJohn;Ulm\n\n", "Ulm", id="blank lines"),
    pytest.param("name,city\nJohn,Ulm".encode("utf-16"), "Ulm", id="UTF-16"),
    pytest.param("name,city\nJohn,Zürich\u2028".encode(), "Zürich\u2028", id="UTF-8"),
]


@pytest.mark.parametrize(("content", "city"), ROWS)
def test_rows_are_read(submit, content, city):
    status, jobs, said = submit(content)
    assert (status, jobs) == (0, [{"name": "John", "city": city}])
    assert "not UTF-8" not in said


def test_delimiters_in_a_quoted_header_do_not_count(submit):
    _, jobs, _ = submit(b'"name";"a,b,c"\nJohn;x\n')
    assert jobs == [{"name": "John", "a,b,c": "x"}]


@pytest.mark.parametrize(
    ("content", "city", "encoding"),
    [
        (b"Z\xfcrich", "Zürich", "Windows-1252"),
        (b"5 \x80", "5 €", "Windows-1252"),
        (b"\x81", "\x81", "Latin-1"),
    ],
)
def test_other_encodings_are_named(submit, content, city, encoding):
    status, jobs, said = submit(b"name,city\nJohn," + content)
    assert (status, jobs[0]["city"]) == (0, city)
    assert f"not UTF-8 (line 2), so it is read as {encoding}." in said


WRONG = [
    (b"", "is empty"),
    (b"name,city\n", "has no rows"),
    (b"\n\n", "has no header"),
    (b"name,city,name\na,b,c\n", r"line 1: columns 1 and 3 of the header are both named 'name'"),
    (b"name,,city\na,b,c\n", r"line 1: column 2 of the header has no name"),
    (b"name,city\na,b\na,b,c\n", r"line 3: it has 3 cells, but the header has 2 columns"),
    (b"name,city\na\n", r"line 2: it has 1 cell, "),
    (b'name,city\na,"b\nc"\n"open,\nd,e\n', r"line 4: the quotes of this row"),
    (b'name,city\n"a"b,c\n', r"line 2: the quotes of this row"),
    (b"name,city\na,b\0\n", r"line 2: it has a NUL"),
    (b"name\n" + b"x" * 2000 + b"\n", r"line 2: it is longer than"),
    (b"city\nUlm\n", r"requires the field name.*--map name=COLUMN. Columns: city"),
    (b"name,vendor\na,b\n", r"Leave out --vendor"),
    (b"name,options\na,b\n", r"A field named options"),
]


@pytest.mark.parametrize(("content", "sentence"), WRONG)
def test_what_is_wrong_is_said_before_anything_is_posted(submit, content, sentence, monkeypatch):
    monkeypatch.setattr(files, "MAX_LINE", 1000)
    status, jobs, said = submit(content)
    assert (status, jobs) == (2, [])
    assert re.search(sentence, said), said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--encoding", "utf-9"], "no encoding utf-9"),
        (["--encoding", "hex"], "no encoding hex"),
        (["--encoding", "utf-16"], "line 1: it is not utf-16"),
        (["--encoding", "ascii"], "line 2: it is not ascii"),
        (["--map", "name=Nom"], "has no column 'Nom'. It has: name, city."),
        (["--map", "name"], "--map name is not FIELD=COLUMN"),
        (["-o", "."], "is not a regular file"),
        (["-o", "/nowhere/results.csv"], "no folder /nowhere"),
        (["--vendor", "other"], "no vendor other. Vendors: acme."),
        (["-o", "results.xlsx"], "End it with .csv or .txt (CSV)"),
        (["-o", "results"], "results is not written"),
        (["--option", "expires_in=abc"], "abc: it must be a whole number of seconds, such as"),
        (["--option", "expires_in=0"], "must be a whole number"),
        (["--option", "not_before=tomorrow"], "must be a time with its zone"),
        (["--option", "not_before=2027-01-31T12:00:00"], "must be a time with its zone"),
        (["--option", "expires_in=1", "--option", "expires_in=2"], "names expires_in twice"),
    ],
)
def test_arguments_that_do_not_fit(submit, arguments, sentence, tmp_path):
    status, jobs, said = submit("name,city\nJohn,Zürich\n".encode(), *arguments)
    assert (status, jobs) == (2, [])
    assert sentence in said
    assert not list(tmp_path.glob("*enrichlabs*"))


def test_a_sentence_with_columns_ends_with_one_full_stop(submit):
    _, _, said = submit(b" City,Customer No.\nUlm,1\n")
    assert said.endswith("Columns: ' City', Customer No.\n")


def test_columns_become_fields_options_and_metadata(submit, peer):
    status, jobs, _ = submit(
        b"Full Name,Id,Team,Other\nJohn,7,growth,x\nJane,,,y\n",
        *["--map", "name=Full Name", "--option", "reference=Id", "--option", "metadata.t=Team"],
        *["--option", "expires_in=3600", "--reference", "monday"],
    )
    assert status == 0
    assert jobs == [
        {"name": "John", "options": {"reference": "7", "metadata": {"t": "growth"}}},
        {"name": "Jane"},
    ]
    query = "vendor=acme&options=%7B%22expires_in%22%3A3600%7D&reference=monday"
    assert peer.seen[-1].path == f"/batches?{query}"


def test_json_lines_are_passed_on_digit_by_digit(submit, peer):
    content = b'\xef\xbb\xbf{"name": "J", "n": 1234567890123456.7890, "o": {"a": [1]}}\r\n\n'
    status, _, _ = submit(content, name="people.jsonl")
    assert status == 0
    body = '{"name":"J","n":1234567890123456.7890,"o":{"a": [1]}}\n'
    assert peer.seen[-1].body.decode() == body


def test_a_service_that_is_away_or_refuses_ends_it_with_status_3(submit, peer, pauses):
    peer.script = [Reply({"code": "unauthorized", "detail": "No key."}, 401)]
    status, _, said = submit(b"name\nJohn\n")
    assert (status, "Set ENRICHLABS_API_KEY" in said) == (3, True)
    peer.stop()
    status, _, said = submit(b"name\nJohn\n")
    assert (status, "can't be reached: connection refused" in said) == (3, True)
    assert "Run the same command again to go on" in said


@pytest.mark.parametrize("line", ["[]", '{"a": 1} x', '{"a" 1}', "{", '{"a": 1,, "b": 2}', "nope"])
def test_lines_that_are_no_objects(submit, line):
    status, jobs, said = submit(f'{{"name": "J"}}\n{line}\n'.encode(), name="people.jsonl")
    assert (status, jobs) == (2, [])
    assert "line 2: it is not a JSON object" in said


def test_rows_may_name_their_vendor(submit, peer):
    peer.script = [Reply(POSTED, 202)]
    _, jobs, _ = submit(
        b"name,v\nJohn,acme\n", "--map", "name=name", "--map", "vendor=v", vendor=()
    )
    assert jobs == [{"name": "John", "vendor": "acme"}]
