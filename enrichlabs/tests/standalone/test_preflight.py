"""What keeps the server from starting is said in one line, with what to do, and the exit status is
1.
"""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from enrichlabs.standalone.preflight import Obstacle, check_ports, check_redis
from harness.ports import free_port
from harness.running import ROOT, environment, processes_of

HERE = "127.0.0.1"


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[..., str]:
    """Return a function that starts the server, sees that it refuses in one line, and returns that
    line.
    """
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
def taken() -> Iterator[int]:
    with socket.create_server((HERE, 0)) as server:
        yield server.getsockname()[1]


def test_a_data_folder_that_cannot_be_made(refusal: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = refusal(ENRICHLABS_DATA=tmp_path / "file" / "data")
    assert (
        "can't be used (Not a directory). Make it a folder that this user can write to, or set ENRICHLABS_DATA"
        in said
    )


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_data_folder_that_cannot_be_written(refusal: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    assert "(Permission denied)" in refusal()


def test_a_port_in_use(refusal: Callable[..., str], taken: int) -> None:
    sentence = (
        f"PORT {taken} is in use on {HERE}. Stop what listens there, or set PORT to a free port."
    )
    assert refusal(PORT=taken) == f"enrichlabs: {sentence}\n"


def test_one_port_for_two_servers() -> None:
    port = free_port()
    with pytest.raises(Obstacle, match=f"MOCK_PORT {port} is in use"):
        check_ports({"PORT": (HERE, port), "MOCK_PORT": (HERE, port)})


def test_a_port_that_is_none() -> None:
    with pytest.raises(Obstacle, match="PORT is 70000, but must be between 1 and 65535"):
        check_ports({"PORT": (HERE, 70000)})


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"PORT": "many"}, "PORT is 'many', but must be a whole number."),
        (
            {"LOG_LEVEL": "loud"},
            "LOG_LEVEL is 'loud', but must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL.",
        ),
        (
            {"DATABASE_URL": "sqlite:///nowhere/jobs.sqlite3"},
            "The store's file can't be used. Make its folder writable for this user, or correct DATABASE_URL.",
        ),
        (
            {"REDIS_URL": "redis://127.0.0.1:1"},
            "Connection refused.). Start it, or unset REDIS_URL to use the embedded one.",
        ),
        (
            {"ENRICHLABS_VENDORS": "/nowhere.toml"},
            "/nowhere.toml can't be read: No such file or directory.",
        ),
    ],
)
def test_a_setting_that_is_wrong(
    refusal: Callable[..., str], variables: dict[str, object], said: str
) -> None:
    assert said in refusal(**variables)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "mongodb://hid:den@127.0.0.1:1/jobs",
            "Nothing listens at the address in DATABASE_URL (127.0.0.1:1). Start MongoDB",
        ),
        ("mongodb://hid:d/en@127.0.0.1", "DATABASE_URL can't be read"),
        (
            "mongodb://hid:den@127.0.0.1/jobs?readPreference=nearest",
            "DATABASE_URL says readPreference",
        ),
    ],
)
def test_a_mongodb_that_cannot_be_used(refusal: Callable[..., str], url: str, said: str) -> None:
    refused = refusal(DATABASE_URL=url)
    assert said in refused
    assert "hid" not in refused


@pytest.mark.parametrize(
    "url", ["http://redis", "redis://:hid/den@redis", "redis://127.0.0.1:70000"]
)
def test_a_redis_url_that_is_none(url: str) -> None:
    with (
        override_settings(REDIS_URL=url),
        pytest.raises(Obstacle, match="that is no address such as redis://") as refused,
    ):
        check_redis()
    assert "hid" not in str(refused.value)
