"""What keeps the server from starting is said in one line, with what to do, and the exit status is 1."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enrichlabs.tests.mongodb import free_port
from enrichlabs.tests.running import ROOT, environment, processes_of


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[..., str]:
    """Return a function that starts the server, sees that it refuses in one line, and returns that line."""
    folder = tmp_path / "data"

    def refusal(**variables: object) -> str:
        named = {"PORT": free_port(), "MOCK_PORT": free_port(), **variables}
        ended = subprocess.run(
            [sys.executable, "-m", "enrichlabs.server"],
            cwd=ROOT,
            env=environment(folder, **named),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert ended.returncode == 1, ended
        assert ended.stderr.count("\n") == 1, ended.stderr
        assert processes_of(folder) == {}
        return ended.stderr

    return refusal


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_data_folder_that_cannot_be_made(refusal: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refusal(ENRICHLABS_DATA=tmp_path / "file" / "data")
    assert "can't be used (Not a directory). Make it a folder that this user can write to, or set ENRICHLABS_DATA" in said


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_data_folder_that_cannot_be_written(refusal: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    assert "(Permission denied)" in refusal()


@pytest.mark.parametrize("name", ["PORT", "MOCK_PORT"])
def test_a_port_in_use(refusal: Callable[..., str], taken: int, name: str) -> None:
    said = refusal(**{name: taken})
    assert f"{name} {taken} is in use on 127.0.0.1. Stop what listens there, or set {name} to a free port." in said


def test_one_port_for_two_servers(refusal: Callable[..., str]) -> None:
    port = free_port()
    assert f"MOCK_PORT {port} is in use" in refusal(PORT=port, MOCK_PORT=port)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PORT": "many"}, "PORT is 'many', but must be a whole number."),
        ({"PORT": 70000}, "PORT is 70000, but must be between 1 and 65535."),
        (
            {"DATABASE_URL": "sqlite:///nowhere/jobs.sqlite3"},
            "(unable to open database file). Start it, or",
        ),
        ({"DATABASE_URL": "mongodb://u:hid/den@db"}, "Start it, or correct DATABASE_URL."),
        ({"REDIS_URL": "redis://u:hidden@127.0.0.1:1"}, "Connection refused.). Start it, or unset REDIS_URL"),
        ({"REDIS_URL": "http://redis"}, "(that is no address such as redis://host:6379/0)"),
        ({"LOG_LEVEL": "loud"}, "(Unknown level: 'loud'). Compare the environment with .env.example."),
        ({"ENRICHLABS_VENDORS": "/nowhere.toml", "REDIS_URL": ""}, "/nowhere.toml can't be read: No such file or directory."),
    ],
)
def test_a_setting_that_is_wrong(refusal: Callable[..., str], variables: dict[str, object], said: str) -> None:
    line = refusal(**variables)
    assert said in line
    assert not re.search("hidden|hid/den", line)


def test_a_mongodb_that_does_not_answer(refusal: Callable[..., str]) -> None:
    said = refusal(DATABASE_URL="mongodb://u:hidden@127.0.0.1:1/jobs")
    assert "The store does not answer (127.0.0.1:1: [Errno 111] Connection refused)" in said
