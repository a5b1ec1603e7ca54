""".env: what a line means, as to Docker Compose, and that a line which can't be read is refused by
its number.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from enrichlabs.config.dotenv import parse
from harness.running import ROOT, environment

PRINT = "import os, sys; print([os.environ.get(name) for name in ('A', 'B', 'C')])"


@pytest.fixture
def manage(tmp_path: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Return a function that runs script/manage in a checkout with a .env of its own."""
    for name in (
        "script",
        "enrichlabs",
        "jobs",
        "vendors",
        "webhooks",
        "manage.py",
        "requirements.txt",
        ".venv",
    ):
        (tmp_path / name).symlink_to(ROOT / name)
    # As a checkout has it: a script finds its folder by where it lies.
    (tmp_path / "script").unlink()
    (tmp_path / "script").mkdir()
    (tmp_path / "script" / "manage").symlink_to(ROOT / "script" / "manage")
    setup = tmp_path / "script" / "setup"
    setup.write_text("#!/bin/sh\n")  # .venv is there
    setup.chmod(0o700)

    def manage(content: bytes, **variables: str) -> "subprocess.CompletedProcess[str]":
        (tmp_path / ".env").write_bytes(content)
        command = [tmp_path / "script" / "manage", "shell", "--no-imports", "-c", PRINT]
        given = environment(tmp_path / "data", **variables)
        return subprocess.run(command, env=given, capture_output=True, text=True, check=False)

    return manage


def test_script_manage_reads_it_and_the_environment_wins(
    manage: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    ended = manage(
        b"\xef\xbb\xbfexport A = c2VjcmV0=\r\nB=from the file\r\nC='# $none' # a comment\r\n", B=""
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == "['c2VjcmV0=', '', '# $none']\n"


def test_script_manage_refuses_a_line_by_its_number(
    manage: Callable[..., "subprocess.CompletedProcess[str]"],
) -> None:
    ended = manage(b"A=1\n# \n\nB='hidden\n", PYTHONSAFEPATH="1", PYTHONHOME="/nowhere")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert (
        ended.stderr == "enrichlabs: Line 4 of .env opens a quote ' that is not closed. Close it.\n"
    )


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
def test_what_a_line_means(content: str, value: str) -> None:
    for ending in ("", "\n", "\nB=after\n"):
        found = parse((content + ending).encode())
        assert found == {"A": value} | ({"B": "after"} if "B" in ending else {})


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A", "has no =. Write NAME=value."),
        ("export A", "has no =. Write NAME=value."),
        (
            "A-B=hidden",
            "has a name with other characters than letters, digits and _. Correct the name.",
        ),
        (
            "=hidden",
            "has a name with other characters than letters, digits and _. Correct the name.",
        ),
        (
            "A=$hidden",
            "has a $, which Docker Compose would expand. Put the value in single quotes.",
        ),
        (
            'A="$hidden"',
            "has a $, which Docker Compose would expand. Put the value in single quotes.",
        ),
        ('A="hidden', 'opens a quote " that is not closed. Close it.'),
        ("A='hidden' x", "goes on after the closing quote. Quote the whole value."),
        (
            'A="hidden\\d"',
            "has \\d in double quotes, which means nothing. Put the value in single quotes.",
        ),
        ("A=hidden\0", "has a control character in its value. Remove it."),
        ("A=hidden\rB=2", "has a control character in its value. Remove it."),
    ],
)
def test_a_line_that_cannot_be_read(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match="Line 3 of .env") as refused:
        parse(f"# first\nB=1\n{line}\n".encode())
    assert str(refused.value) == f"Line 3 of .env {reason}"


def test_a_file_that_is_no_text() -> None:
    with pytest.raises(ValueError, match=r"Line 2 of .env is not UTF-8. Save the file as UTF-8."):
        parse(b"A=1\nB=\xff\n")
