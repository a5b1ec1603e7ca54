"""python -m enrichlabs.prepare creates tables, a first superuser and vendors."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from enrichlabs.prepare import parse_mocks_url
from enrichlabs.standalone.default_secrets import DEFAULT_PASSWORD
from enrichlabs.standalone.startup import StartupError
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


def test_prepare_creates_what_a_first_request_needs_and_can_run_again(
    prepare: Prepare, tmp_path: Path
) -> None:
    for _ in range(2):
        ended = prepare(MOCKS, **OWN_SECRETS, ADMIN_PASSWORD="chosen-by-us", ALLOW_ANONYMOUS=1)
        assert (ended.returncode, ended.stderr) == (0, "")
    assert rows(tmp_path, "SELECT username FROM auth_user") == ["admin"]
    assert rows(tmp_path, "SELECT slug FROM clients_client WHERE enabled") == ["default"]
    assert rows(tmp_path, "SELECT url FROM vendors_vendor ORDER BY slug") == [
        f"{MOCKS}/mock-vendors/async",
        f"{MOCKS}/mock-vendors/sync",
    ]
    assert not (tmp_path / "secrets").exists()


def test_without_a_mocks_url_only_the_vendors_of_the_file_are_created(
    prepare: Prepare, tmp_path: Path
) -> None:
    assert prepare().returncode == 0
    assert rows(tmp_path, "SELECT slug FROM vendors_vendor") == []
    vendors = tmp_path / "vendors.toml"
    vendors.write_text('[vendors.acme]\nadapter = "sync"\nurl = "https://acme.example"\n')
    assert prepare(ENRICHLABS_VENDORS=vendors).returncode == 0
    assert rows(tmp_path, "SELECT slug FROM vendors_vendor") == ["acme"]


def test_prepare_keeps_what_was_changed_about_the_client_default(
    prepare: Prepare, tmp_path: Path
) -> None:
    assert prepare().returncode == 0
    with sqlite3.connect(tmp_path / "enrichlabs.sqlite3") as store:
        store.execute("UPDATE clients_client SET enabled = 0, note = 'closed'")
    assert prepare().returncode == 0
    assert rows(tmp_path, "SELECT note FROM clients_client WHERE NOT enabled") == ["closed"]


def test_prepare_waits_for_a_store_that_is_still_starting(tmp_path: Path) -> None:
    with mongodb() as (url, server), (tmp_path / "log").open("w") as log:
        server.send_signal(signal.SIGSTOP)
        command = [sys.executable, "-m", "enrichlabs.prepare"]
        variables = environment(tmp_path / "data", DATABASE_URL=url)
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stderr=log)
        wait_for(lambda: "Waiting up to" in Path(log.name).read_text(), "a line about the store")
        assert process.poll() is None
        server.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0, Path(log.name).read_text()


def test_prepare_gives_up_in_one_line_when_the_store_stays_down(prepare: Prepare) -> None:
    at_once = (
        "import sys\nfrom enrichlabs import prepare\nfrom enrichlabs.standalone import bootstrap\n"
        "bootstrap.STORE_TIMEOUT_SECONDS = 0\nsys.exit(prepare.main([]))"
    )
    ended = prepare(code=at_once, DATABASE_URL="mongodb://127.0.0.1:1/enrichlabs")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "(127.0.0.1:1). Start MongoDB, or correct host and port." in ended.stderr


@pytest.mark.parametrize("arguments", [["sync"], ["127.0.0.1:8001"], [MOCKS, MOCKS]])
def test_an_invalid_mocks_url_is_refused(arguments: list[str]) -> None:
    with pytest.raises(StartupError, match="Give no argument, or the URL of the mock vendors"):
        parse_mocks_url(arguments)


def test_a_public_service_must_not_use_the_default_secrets(prepare: Prepare) -> None:
    callback_secrets = f"{'c' * 50},insecure-secret-of-the-past"
    defaults = {
        "SECRET_KEY": "insecure-secret-key",
        "CALLBACK_SECRETS": callback_secrets,
        "ADMIN_PASSWORD": "insecure-3",
    }
    ended = prepare(**PUBLIC, **defaults)
    assert ended.returncode == 1
    names = "SECRET_KEY, CALLBACK_SECRETS, ADMIN_PASSWORD"
    assert ended.stderr == (
        "enrichlabs: PUBLIC_URL is https://, but these have published default values: "
        f"{names}. Set your own.\n"
    )


def test_a_public_service_must_not_keep_the_default_admin_password(prepare: Prepare) -> None:
    ended = prepare(**OWN_SECRETS, ADMIN_PASSWORD=DEFAULT_PASSWORD)
    assert ended.returncode == 0
    assert (
        "For development only: these have published default values: ADMIN_PASSWORD" in ended.stderr
    )
    ended = prepare(**OWN_SECRETS, **PUBLIC, ADMIN_PASSWORD="chosen-by-us")
    assert ended.returncode == 1
    assert ended.stderr.endswith("Change it: manage.py changepassword admin\n")


def test_prepare_says_how_to_make_the_first_key(prepare: Prepare) -> None:
    ended = prepare(**OWN_SECRETS, ADMIN_PASSWORD="chosen-by-us")
    assert ended.returncode == 0
    assert "There is no API key yet. Make one: python manage.py api_key create" in ended.stderr
