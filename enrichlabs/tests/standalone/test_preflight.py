"""A server that can't start says why in one line, with a remedy, and exits with 1."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from enrichlabs.standalone.startup import StartupError, check_ports, check_redis
from harness.ports import free_port
from harness.running import ROOT, environment, processes_of

HERE = "127.0.0.1"


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[..., str]:
    """Start the server, expect it to refuse, and return the one line that it writes."""
    folder = tmp_path / "data"

    def refusal(**variables: object) -> str:
        named = {"PORT": free_port(), "MOCK_PORT": free_port(), **variables}
        command = [sys.executable, "-m", "enrichlabs.server"]
        ended = subprocess.run(
            command,
            cwd=ROOT,
            env=environment(folder, **named),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 1, ended
        assert ended.stderr.count("\n") == 1, ended.stderr
        assert processes_of(folder) == {}
        return ended.stderr

    return refusal


@pytest.fixture
def used_port() -> Iterator[int]:
    with socket.create_server((HERE, 0)) as server:
        yield server.getsockname()[1]


def test_startup_fails_when_the_data_folder_cannot_be_created(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    line = refusal(ENRICHLABS_DATA=tmp_path / "file" / "data")
    assert "can't be used (Not a directory). Make it writable for this user, or set ENRICH" in line


@pytest.mark.skipif(os.getuid() == 0, reason="root can write anywhere")
def test_startup_fails_when_the_data_folder_is_not_writable(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    assert "(Permission denied)" in refusal()


def test_startup_fails_when_the_port_is_in_use(refusal: Callable[..., str], used_port: int) -> None:
    assert refusal(PORT=used_port) == (
        f"enrichlabs: PORT {used_port} is already in use on {HERE}. "
        "Stop the process that listens there, or set PORT to a free port.\n"
    )


def test_a_port_given_twice_counts_as_in_use() -> None:
    port = free_port()
    with pytest.raises(StartupError, match=f"MOCK_PORT {port} is already in use"):
        check_ports({"PORT": (HERE, port), "MOCK_PORT": (HERE, port)})


def test_a_port_out_of_range_is_refused() -> None:
    with pytest.raises(StartupError, match="PORT is 70000, but must be between 1 and 65535"):
        check_ports({"PORT": (HERE, 70000)})


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"PORT": "many"}, "PORT is 'many', but must be a whole number."),
        (
            {"LOG_LEVEL": "loud"},
            "LOG_LEVEL is 'loud', but must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL.",
        ),
        (
            {"DATABASE_URL": "sqlite:///nowhere/jobs.sqlite3"},
            "The store's file can't be used.",
        ),
        (
            {"REDIS_URL": "redis://127.0.0.1:1"},
            "Redis does not answer (ConnectionError, 127.0.0.1:1). Start it, or correct REDIS_URL.",
        ),
        (
            {"ENRICHLABS_VENDORS": "/nowhere.toml"},
            "/nowhere.toml can't be read: No such file or directory.",
        ),
    ],
)
def test_startup_fails_with_an_invalid_setting(
    refusal: Callable[..., str], variables: dict[str, object], expected: str
) -> None:
    assert expected in refusal(**variables)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "mongodb://hid:den@127.0.0.1:1/jobs",
            "(127.0.0.1:1). Start MongoDB",
        ),
        ("mongodb://hid:d/en@127.0.0.1", "DATABASE_URL can't be read"),
        (
            "mongodb://hid:den@127.0.0.1/jobs?readPreference=nearest",
            "DATABASE_URL sets a readPreference",
        ),
    ],
)
def test_startup_fails_without_a_usable_mongodb(
    refusal: Callable[..., str], url: str, expected: str
) -> None:
    line = refusal(DATABASE_URL=url)
    assert expected in line
    assert "hid" not in line


@pytest.mark.parametrize(
    "url", ["http://redis", "redis://:hid/den@redis", "redis://127.0.0.1:70000"]
)
def test_an_invalid_redis_url_is_not_quoted(url: str) -> None:
    with (
        override_settings(REDIS_URL=url),
        pytest.raises(
            StartupError, match="REDIS_URL is not an address such as redis://"
        ) as refused,
    ):
        check_redis()
    assert "hid" not in str(refused.value)
