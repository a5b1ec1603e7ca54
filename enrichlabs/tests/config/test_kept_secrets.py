"""Secrets in files and in the environment: an empty or damaged one prevents every start; one that
others can read is made private.
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

GUNICORN = "-m gunicorn -c python:enrichlabs.gunicorn -w 1 -b 127.0.0.1:{port} enrichlabs.wsgi"
ENTRY_POINTS = [
    ["-m", "enrichlabs.server"],
    ["-m", "enrichlabs.prepare"],
    ["manage.py", "run_worker"],
    ["manage.py", "check"],
    GUNICORN.split(),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "data" / "secrets").mkdir(parents=True, mode=0o700)
    return tmp_path / "data" / "secrets" / "callback_secret"


@pytest.mark.parametrize("entry", ENTRY_POINTS, ids=" ".join)
def test_no_entry_point_starts_with_an_empty_secret(file: Path, entry: list[str]) -> None:
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
    remedy = "Restore it from a backup, or remove it and the next start generates a new one"
    losses = {
        "secret_key": "console users must then log in again",
        "callback_secret": "callbacks of open jobs are then refused",
    }
    assert lines == [
        f"enrichlabs: The secret file {file.with_name(name)} is empty. {remedy} ({loss})."
        for name, loss in losses.items()
    ]
    assert "Traceback" not in ended.stderr


def test_a_secret_of_spaces_counts_as_unset(tmp_path: Path) -> None:
    show = "print(len(settings.SECRET_KEY), len(settings.CALLBACK_SECRETS[0]))"
    command = [sys.executable, "-c", f"from django.conf import settings; {show}"]
    variables = {"DJANGO_SETTINGS_MODULE": "enrichlabs.settings", "SECRET_KEY": "  "}
    given = environment(tmp_path, CALLBACK_SECRETS="  ", **variables)
    ended = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=True)
    assert ended.stdout == "64 64\n"


def test_a_secret_is_generated_once_synced_and_readable_by_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def record_and_sync(number: int) -> None:
        synced.append(os.fstat(number).st_ino)
        fsync(number)

    monkeypatch.setattr(os, "fsync", record_and_sync)
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
        (b"x" * 31, "is truncated: it has fewer than 32 characters"),
        (b"\0" * 64, "is not one line of text"),
        (b"x" * 32 + b"\nx", "is not one line of text"),
        (bytes(range(128, 192)), "is not one line of text"),
        (b"x" * 5000, "is not one line of text"),
    ],
)
def test_a_damaged_secret_is_refused(file: Path, content: bytes, what: str) -> None:
    file.write_bytes(content)
    with pytest.raises(ImproperlyConfigured) as refused:
        kept(file)
    sentences = f"The secret file {file} {what}. Restore it from a backup, or remove it"
    assert sentences in str(refused.value)


def test_a_path_that_is_not_a_file_is_refused(file: Path) -> None:
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


def test_a_secret_of_another_user_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("x" * 64)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ImproperlyConfigured, match="belongs to another user"):
        kept(file)


@pytest.mark.skipif(os.getuid() == 0, reason="root may read anything")
def test_an_unreadable_secret_is_refused(file: Path) -> None:
    file.touch(mode=0o000)
    with pytest.raises(ImproperlyConfigured, match=r"can't be read \(Permission denied\)"):
        kept(file)


def test_a_secret_that_others_can_read_is_made_private_and_logged(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file.write_text("x" * 64 + "\n")
    file.chmod(0o644)
    assert kept(file) == "x" * 64
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"Other users could read the secret file {file}" in caplog.text
