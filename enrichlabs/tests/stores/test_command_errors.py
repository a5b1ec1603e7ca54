"""Commands and gunicorn report a store that they can't use in one line, without a traceback."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from enrichlabs import command_line
from harness.mongodb import SecantusDB
from harness.ports import free_port
from harness.running import ROOT, environment
from harness.waiting import wait_for


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecantusDB]:
    server = SecantusDB(tmp_path_factory.mktemp("single"), "--standalone")
    yield server
    server.kill()


def manage(
    folder: Path, *arguments: str, **variables: object
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "enrichlabs.command_line", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", ["migrate", "replay"])
def test_a_command_reports_a_missing_store_without_a_traceback(
    tmp_path: Path, command: str
) -> None:
    ended = manage(
        tmp_path,
        command,
        DATABASE_URL="mongodb://hid:den@127.0.0.1:1/jobs?serverSelectionTimeoutMS=500",
    )
    assert ended.returncode == 1
    assert "Start MongoDB, or correct" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "hid" not in ended.stderr


COMMANDS = [
    ["prune", "--older-than", "30d", "--yes"],
    ["import", "rows.jsonl"],
    ["export", "rows.jsonl"],
    ["replay", "--dry-run"],
    ["load_vendors", "--mocks", "http://127.0.0.1:1"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("on_mongodb", [False, True])
def test_a_command_refuses_a_store_without_tables(
    single: SecantusDB, tmp_path: Path, command: list[str], on_mongodb: bool
) -> None:
    (tmp_path / "rows.jsonl").touch()
    arguments = [str(tmp_path / word) if word == "rows.jsonl" else word for word in command]
    ended = manage(tmp_path, *arguments, **({"DATABASE_URL": single.url()} if on_mongodb else {}))
    assert ended.returncode == 1
    assert "The tables of the store are missing or old" in ended.stderr
    assert "Run manage.py migrate" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_command_reports_an_invalid_url_in_one_line(tmp_path: Path) -> None:
    ended = manage(tmp_path, "check", DATABASE_URL="mongodb://hid:d@en@127.0.0.1/jobs")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith(
        "enrichlabs: DATABASE_URL can't be read: Username and password must be escaped"
    )


def test_gunicorn_reports_once_why_it_cannot_start(tmp_path: Path) -> None:
    options = ["-c", "python:enrichlabs.gunicorn", "-b", f"127.0.0.1:{free_port()}"]
    command = [sys.executable, "-m", "gunicorn", *options]
    variables = environment(tmp_path, DATABASE_URL="mongodb://127.0.0.1/jobs?w=0")
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "enrichlabs.wsgi"], cwd=ROOT, env=variables, stderr=output
        )
    wait_for(lambda: process.poll() is not None, "gunicorn to end", 60)
    assert (
        log.read_text().count(
            "enrichlabs: DATABASE_URL sets w=0: MongoDB would acknowledge no write"
        )
        == 1
    )
    assert "Traceback" not in log.read_text()


def test_a_command_ends_quietly_once_nobody_reads_its_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    monkeypatch.setattr(sys, "argv", ["manage.py", "version"])
    with os.fdopen(writable, "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        with pytest.raises(SystemExit) as caught:
            command_line.main()
    assert caught.value.code == command_line.NOBODY_READS
