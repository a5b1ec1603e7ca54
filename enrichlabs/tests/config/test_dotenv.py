""".env means what it means to Docker Compose; a malformed line is refused with its number."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from enrichlabs.config.dotenv import parse
from harness.running import ROOT, environment

BAD_NAME = "has a name with characters other than letters, digits and _. Correct it."
DOLLAR = "has a $, which Docker Compose would expand. Put the value in single quotes."
PRINT = "import os, sys; print([os.environ.get(name) for name in ('A', 'B', 'C')])"


@pytest.fixture
def manage(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run script/manage in a checkout with the given .env."""
    apps = ("enrichlabs", "jobs", "vendors", "webhooks")
    for name in (*apps, "manage.py", "requirements.txt", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name)
    # A real folder: a script finds the project by its own location.
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "manage").symlink_to(ROOT / "script" / "manage")
    setup = tmp_path / "script" / "setup"
    setup.write_text("#!/bin/sh\n")  # .venv exists
    setup.chmod(0o700)

    def manage(content: bytes, **variables: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / ".env").write_bytes(content)
        command = [tmp_path / "script" / "manage", "shell", "--no-imports", "-c", PRINT]
        given = environment(tmp_path / "data", **variables)
        return subprocess.run(command, env=given, capture_output=True, text=True, check=False)

    return manage


def test_script_manage_reads_dotenv_and_the_environment_wins(
    manage: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    ended = manage(
        b"\xef\xbb\xbfexport A = c2VjcmV0=\r\nB=from the file\r\nC='# $none' # a comment\r\n", B=""
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "['c2VjcmV0=', '', '# $none']\n"


def test_script_manage_refuses_a_malformed_line_with_its_number(
    manage: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    ended = manage(b"A=1\n# \n\nB='hidden\n", PYTHONSAFEPATH="1", PYTHONHOME="/nowhere")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "enrichlabs: Line 4 of .env has an unclosed quote '. Close it.\n"


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ("A=c2VjcmV0==", "c2VjcmV0=="),
        ("A= x y  ", "x y"),
        ("A=x # comment", "x"),
        ("A=x#y", "x#y"),
        ("A=#x", "#x"),
        ("A= # comment", ""),
        ("A=", ""),
        ("  export  A=x", "x"),
        ("A=it's", "it's"),
        ("A='x # y' # z", "x # y"),
        ("A='$x \\n'", "$x \\n"),
        ("A='it\\'s'", "it's"),
        ('A="x\\n\\t\\"\\\\\\$y"', 'x\n\t"\\$y'),
        ('A="x\ny"', "x\ny"),
        ("A=1\nA=2", "2"),
    ],
)
def test_a_line_is_parsed(content: str, value: str) -> None:
    for ending in ("", "\n", "\nB=after\n"):
        found = parse((content + ending).encode())
        assert found == {"A": value} | ({"B": "after"} if "B" in ending else {})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A", "has no =. Write NAME=value."),
        ("export A", "has no =. Write NAME=value."),
        ("A-B=hidden", BAD_NAME),
        ("=hidden", BAD_NAME),
        ("A=$hidden", DOLLAR),
        ('A="$hidden"', DOLLAR),
        ('A="hidden', 'has an unclosed quote ". Close it.'),
        ("A='hidden' x", "continues after the closing quote. Quote the whole value."),
        ('A="hidden\\d"', "has the unknown escape \\d. Put the value in single quotes."),
        ("A=hidden\0", "has a control character in its value. Remove it."),
        ("A=hidden\rB=2", "has a control character in its value. Remove it."),
    ],
)
def test_a_malformed_line_is_refused(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match="Line 3 of .env") as refused:
        parse(f"# first\nB=1\n{line}\n".encode())
    assert str(refused.value) == f"Line 3 of .env {reason}"


def test_a_file_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Line 2 of .env is not UTF-8. Save the file as UTF-8."):
        parse(b"A=1\nB=\xff\n")
