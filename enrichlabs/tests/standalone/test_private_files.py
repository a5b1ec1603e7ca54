"""Files of an installation are readable for their owner alone, whatever the umask."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from enrichlabs.config.stores import MAX_SOCKET_BYTES, valkey_socket
from harness.running import ROOT, environment

KEYS = {"SECRET_KEY": "s" * 40, "CALLBACK_SECRETS": "c" * 40}


def modes(folder: Path) -> dict[str, str]:
    return {
        path.name: oct(stat.S_IMODE(path.lstat().st_mode)) for path in [folder, *folder.rglob("*")]
    }


def manage(folder: Path, *arguments: str, **variables: object) -> str:
    command = ["sh", "-c", 'umask 022; exec "$@"', "sh", sys.executable, "manage.py", *arguments]
    given = environment(folder, **variables)
    return subprocess.run(
        command, cwd=ROOT, env=given, capture_output=True, text=True, check=True
    ).stderr


@pytest.mark.parametrize(
    "variables", [{}, KEYS], ids=["generated secrets", "secrets from the environment"]
)
def test_the_first_command_creates_only_private_files(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    folder = tmp_path / "new" / "var"
    assert manage(folder, "migrate", "--verbosity=0", **variables) == ""
    manage(folder, "export", str(folder / "rows.jsonl"), **variables)
    found = modes(folder)
    assert {"enrichlabs.sqlite3", "rows.jsonl"} <= found.keys()
    assert {name: mode for name, mode in found.items() if mode not in ("0o600", "0o700")} == {}


def test_readable_store_files_are_restricted_and_logged(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    manage(folder, "migrate", "--verbosity=0")
    names = ["enrichlabs.sqlite3", "enrichlabs.sqlite3-wal", "enrichlabs.sqlite3-shm", "secrets"]
    for name in names[1:3]:
        (folder / name).touch()
    for name in names:
        (folder / name).chmod(0o755 if name == "secrets" else 0o644)
    log = manage(folder, "check")
    assert sorted(log.splitlines()) == sorted(
        f"Other users had access to {folder / name}; it is now restricted to its owner"
        for name in names
    )
    assert {modes(folder)[name] for name in names} == {"0o600", "0o700"}
    assert manage(folder, "check") == ""


def test_a_file_that_is_not_a_store_keeps_its_access(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("not a database, but longer than a header")
    file.chmod(0o644)
    manage(tmp_path / "var", "check", DATABASE_URL=f"sqlite://{file}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


# The socket of the embedded Valkey, for a data folder whose path is too long for a socket


@pytest.fixture
def long_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with such a path. Its socket is in `tmp_path`."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    return tmp_path / ("long" * (MAX_SOCKET_BYTES // 4))


def test_a_private_folder_is_used_for_the_socket(long_path: Path) -> None:
    folder = valkey_socket(long_path).parent
    folder.mkdir(mode=0o700)
    assert valkey_socket(long_path).parent == folder


@pytest.mark.parametrize("fault", ["open", "link", "file", "foreign"])
def test_any_other_folder_is_refused_for_the_socket(
    long_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = valkey_socket(long_path).parent
    own = folder.with_name("own")
    own.mkdir(mode=0o700)
    match fault:
        case "open":
            folder.mkdir()
            folder.chmod(0o755)
        case "link":
            folder.symlink_to(own)
        case "file":
            folder.touch(mode=0o600)
        case "foreign":
            folder.mkdir(mode=0o700)
            monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(
        ImproperlyConfigured, match="is not a folder of this user's own with mode 0700. Remove it"
    ):
        valkey_socket(long_path)
    assert valkey_socket(long_path, is_used=False).parent == folder
