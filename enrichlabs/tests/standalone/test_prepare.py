"""python -m enrichlabs.prepare: tables, a first user and vendors, before anything else is started."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from enrichlabs.prepare import PASSWORD_FOR_DEVELOPMENT, mocks_address
from enrichlabs.standalone.preflight import Obstacle
from harness.mongodb import mongodb
from harness.running import ROOT, environment
from harness.waiting import wait_for

Prepare = Callable[..., subprocess.CompletedProcess[str]]
MOCKS = "http://127.0.0.1:8001"
PUBLIC = {"PUBLIC_URL": "https://gateway.example.com"}
OWN_SECRETS = {"SECRET_KEY": "s" * 50, "CALLBACK_SECRETS": "c" * 50}


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    def prepare(
        *arguments: str, code: str = "", **variables: object
    ) -> subprocess.CompletedProcess[str]:
        what = ["-c", code] if code else ["-m", "enrichlabs.prepare"]
        command = [sys.executable, *what, *arguments]
        return subprocess.run(
            command,
            cwd=ROOT,
            env=environment(tmp_path, **variables),
            capture_output=True,
            text=True,
            check=False,
        )

    return prepare


def rows(folder: Path, query: str) -> list[str]:
    return [value for (value,) in sqlite3.connect(folder / "enrichlabs.sqlite3").execute(query)]


def test_it_makes_tables_a_first_user_and_the_pretend_vendors_as_often_as_it_is_run(
    prepare: Prepare, tmp_path: Path
) -> None:
    for _ in range(2):
        ended = prepare(MOCKS, **OWN_SECRETS, ADMIN_PASSWORD="of our own")
        assert (ended.returncode, ended.stderr) == (0, "")
    assert rows(tmp_path, "SELECT username FROM auth_user") == ["admin"]
    assert rows(tmp_path, "SELECT url FROM vendors_vendor ORDER BY slug") == [
        f"{MOCKS}/mock-vendors/async",
        f"{MOCKS}/mock-vendors/sync",
    ]
    assert not (tmp_path / "secrets").exists()


def test_without_an_address_there_are_the_vendors_of_a_file_or_none(
    prepare: Prepare, tmp_path: Path
) -> None:
    assert prepare().returncode == 0
    assert rows(tmp_path, "SELECT slug FROM vendors_vendor") == []
    vendors = tmp_path / "vendors.toml"
    vendors.write_text('[vendors.acme]\nadapter = "sync"\nurl = "https://acme.example"\n')
    assert prepare(ENRICHLABS_VENDORS=vendors).returncode == 0
    assert rows(tmp_path, "SELECT slug FROM vendors_vendor") == ["acme"]


def test_a_store_that_is_not_up_yet_is_waited_for(tmp_path: Path) -> None:
    with mongodb() as (url, server), (tmp_path / "said").open("w+") as said:
        server.send_signal(signal.SIGSTOP)
        command = [sys.executable, "-m", "enrichlabs.prepare"]
        variables = environment(tmp_path / "data", DATABASE_URL=url)
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stderr=said)
        wait_for(
            lambda: "It is waited for" in Path(said.name).read_text(), "the store to be missed"
        )
        assert process.poll() is None
        server.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0, Path(said.name).read_text()


def test_a_store_that_stays_away_is_said_in_one_line(prepare: Prepare) -> None:
    at_once = "import sys, enrichlabs.prepare as it; it.STORE_SECONDS = 0; sys.exit(it.main([]))"
    ended = prepare(code=at_once, DATABASE_URL="mongodb://127.0.0.1:1/enrichlabs")
    assert ended.returncode == 1
    assert ended.stderr == (
        "enrichlabs: Nothing listens at the address in DATABASE_URL (127.0.0.1:1). Start MongoDB, or correct host and port.\n"
    )


@pytest.mark.parametrize("arguments", [["sync"], ["127.0.0.1:8001"], [MOCKS, MOCKS]])
def test_what_is_no_address_of_pretend_vendors(arguments: list[str]) -> None:
    with pytest.raises(Obstacle, match="Give nothing, or the one address"):
        mocks_address(arguments)


def test_a_public_service_needs_secrets_of_its_own(prepare: Prepare) -> None:
    callback_secrets = f"{'c' * 50},insecure-secret-of-the-past"
    defaults = {
        "SECRET_KEY": "insecure-secret-key",
        "CALLBACK_SECRETS": callback_secrets,
        "ADMIN_PASSWORD": "insecure-3",
    }
    ended = prepare(**PUBLIC, **defaults)
    assert ended.returncode == 1
    known = "everybody knows the default of SECRET_KEY, CALLBACK_SECRETS, ADMIN_PASSWORD"
    assert ended.stderr == f"enrichlabs: PUBLIC_URL is https://, but {known}. Set your own.\n"


def test_a_public_service_does_not_keep_the_password_of_its_first_trial(prepare: Prepare) -> None:
    ended = prepare(**OWN_SECRETS, ADMIN_PASSWORD=PASSWORD_FOR_DEVELOPMENT)
    assert ended.returncode == 0
    assert "For development only: everybody knows the default of ADMIN_PASSWORD" in ended.stderr
    ended = prepare(**OWN_SECRETS, **PUBLIC, ADMIN_PASSWORD="of our own")
    assert ended.returncode == 1
    assert ended.stderr.endswith("Change it: manage.py changepassword admin\n")
