"""Secrets in files and in the environment: what is empty, damaged or open to others lets nothing
start, or is put right.
"""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from enrichlabs.config.kept_secrets import kept
from harness.ports import free_port
from harness.running import ROOT, environment

GUNICORN = [
    "-m",
    "gunicorn",
    "-c",
    "python:enrichlabs.gunicorn",
    "-w",
    "1",
    "-b",
    "127.0.0.1:{port}",
    "enrichlabs.wsgi",
]
ENTRIES = [
    ["-m", "enrichlabs.server"],
    ["-m", "enrichlabs.prepare"],
    ["manage.py", "run_worker"],
    ["manage.py", "check"],
    GUNICORN,
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "data" / "secrets").mkdir(parents=True, mode=0o700)
    return tmp_path / "data" / "secrets" / "callback_secret"


@pytest.mark.parametrize("entry", ENTRIES, ids=" ".join)
def test_nothing_starts_on_an_empty_secret(file: Path, entry: list[str]) -> None:
    port = free_port()
    for name in ("callback_secret", "secret_key"):
        file.with_name(name).touch(mode=0o600)
    command = [sys.executable, *(part.format(port=port) for part in entry)]
    given = environment(file.parent.parent, PORT=port)
    ended = subprocess.run(
        command, cwd=ROOT, env=given, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode not in (0, None)
    lines = [line for line in ended.stderr.splitlines() if line.startswith("enrichlabs: ")]
    remedy = "is empty. Restore it from a backup, or remove it and the next start makes a new one"
    assert lines == [
        f"enrichlabs: The secret file {file.with_name('secret_key')} {remedy} (users of the console must then log in again).",
        f"enrichlabs: The secret file {file} {remedy} (callbacks of jobs under way are then refused).",
    ]
    assert "Traceback" not in ended.stderr


def test_blanks_in_the_environment_are_no_secret(tmp_path: Path) -> None:
    show = "from django.conf import settings; print(len(settings.SECRET_KEY), len(settings.CALLBACK_SECRETS[0]))"
    given = environment(
        tmp_path,
        DJANGO_SETTINGS_MODULE="enrichlabs.settings",
        SECRET_KEY="  ",
        CALLBACK_SECRETS="  ",
    )
    command = [sys.executable, "-c", show]
    assert (
        subprocess.run(
            command, cwd=ROOT, env=given, capture_output=True, text=True, check=True
        ).stdout
        == "64 64\n"
    )


def test_a_secret_is_made_once_on_the_disk_and_for_its_owner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda number: (synced.append(os.fstat(number).st_ino), fsync(number))[1]
    )
    path = tmp_path / "new" / "secrets" / "secret_key"
    secret = kept(path)
    assert len(secret) == 64
    assert synced == [each.stat().st_ino for each in (path, path.parent, path.parent.parent)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["secret_key"]
    assert kept(path) == secret


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "is empty"),
        (b"x" * 31, "was cut short: it has fewer than 32 characters"),
        (b"\0" * 64, "does not hold one line of text"),
        (b"x" * 32 + b"\nx", "does not hold one line of text"),
        (bytes(range(128, 192)), "does not hold one line of text"),
        (b"x" * 5000, "does not hold one line of text"),
    ],
)
def test_what_is_no_secret(file: Path, content: bytes, what: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ImproperlyConfigured) as refused:
        kept(file)
    assert f"The secret file {file} {what}. Restore it from a backup, or remove it" in str(
        refused.value
    )


def test_what_is_no_file(file: Path) -> None:
    file.mkdir()
    with pytest.raises(ImproperlyConfigured, match=r"can't be read \(Is a directory\)"):
        kept(file)
    file.rmdir()
    os.mkfifo(file)
    with pytest.raises(ImproperlyConfigured, match="is not a file"):
        kept(file)
    file.unlink()
    file.symlink_to("nowhere")
    with pytest.raises(ImproperlyConfigured, match=r"can't be read \(No such file or directory\)"):
        kept(file)


def test_a_secret_of_another_user_or_one_that_cannot_be_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("x" * 64)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ImproperlyConfigured, match="belongs to another user"):
        kept(file)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read anything")
def test_a_secret_that_cannot_be_read(file: Path) -> None:
    file.touch(mode=0o000)
    with pytest.raises(ImproperlyConfigured, match=r"can't be read \(Permission denied\)"):
        kept(file)


def test_a_secret_that_others_could_read_is_closed_and_named(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("x" * 64 + "\n")
    file.chmod(0o644)
    assert kept(file) == "x" * 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"The secret file {file} could be read by other users" in caplog.text
