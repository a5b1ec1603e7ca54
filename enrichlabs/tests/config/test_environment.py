"""Every entry point reads variables in the same way, and refuses all wrong values at once."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import settings

from enrichlabs.config import environment as env
from harness.ports import free_port
from harness.running import ROOT, environment, get
from harness.waiting import wait_for

HERE = "127.0.0.1"
SHOW = (
    "import json, sys; from django.conf import settings; "
    "found = {name: getattr(settings, name) for name in sys.argv[1].split(',')}; "
    "print(json.dumps(found, default=str))"
)


@pytest.fixture
def shown(tmp_path: Path) -> Callable[..., dict[str, object]]:
    """Return settings of another process by name."""

    def shown(names: str, **variables: object) -> dict[str, object]:
        variables = {"DJANGO_SETTINGS_MODULE": "enrichlabs.settings", **variables}
        ended = subprocess.run(
            [sys.executable, "-c", SHOW, names],
            cwd=ROOT,
            env=environment(tmp_path / "data", **variables),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(ended.stdout)

    return shown


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., list[str]]:
    """Run a command of manage.py, assert that it fails, and return its error lines."""

    def refused(**variables: object) -> list[str]:
        given = environment(tmp_path / "data", **variables)
        command = [sys.executable, "manage.py", "check"]
        ended = subprocess.run(
            command, cwd=ROOT, env=given, capture_output=True, text=True, check=False
        )
        assert (ended.returncode, ended.stdout) == (1, ""), ended
        lines = ended.stderr.splitlines()
        assert all(line.startswith("enrichlabs: ") for line in lines), lines
        return [line.removeprefix("enrichlabs: ") for line in lines]

    return refused


def test_the_example_lists_exactly_the_registered_variables() -> None:
    listed = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert listed == env.SETTINGS_VARIABLES == settings.SETTINGS_VARIABLES


def test_an_unregistered_variable_cannot_be_read() -> None:
    with pytest.raises(LookupError, match="Add ACME_KEY to SETTINGS_VARIABLES"):
        env.text("ACME_KEY")


WRONG = [
    ("PORT", "８０", "PORT is '８０', but must be a whole number."),
    ("PORT", "8_000", "PORT is '8_000', but must be a whole number."),
    ("PORT", "0", "PORT is 0, but must be between 1 and 65535."),
    ("MOCK_PORT", "70000", "MOCK_PORT is 70000, but must be between 1 and 65535."),
    ("WORKER_THREADS", "0", "WORKER_THREADS is 0, but must be between 1 and 2147483647."),
    ("WORKER_PROCESSES", "two", "WORKER_PROCESSES is 'two', but must be a whole number."),
    ("DEBUG", "maybe", "DEBUG is 'maybe', but must be 1 or 0."),
    ("MOCK_VENDORS", "2", "MOCK_VENDORS is '2', but must be 1 or 0."),
    (
        "SERVES",
        "api;admin",
        "SERVES names api;admin. Choose from api, admin, webhooks, mock, separated by commas.",
    ),
    (
        "LOG_LEVEL",
        "loud",
        "LOG_LEVEL is 'loud', but must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL.",
    ),
    ("LOG_FORMAT", "xml", "LOG_FORMAT is 'xml', but must be one of text, json."),
    (
        "VENDOR_VARIABLE_PREFIXES",
        "ACME",
        "VENDOR_VARIABLE_PREFIXES names 'ACME'. Write prefixes in capitals that end with _",
    ),
    ("VENDOR_VARIABLE_PREFIXES", "VENDOR_,_", "VENDOR_VARIABLE_PREFIXES names '_'."),
    ("SECRET_KEY", "short", "SECRET_KEY is too short: it needs at least 16 characters."),
    (
        "CALLBACK_SECRETS",
        f"{'c' * 20},short",
        "CALLBACK_SECRETS is too short: it needs at least 16 characters.",
    ),
    ("CALLBACK_SECRETS", " , ", "CALLBACK_SECRETS is too short: it needs at least 16 characters."),
    (
        "HOST",
        "127.0.0.1:80",
        "HOST is '127.0.0.1:80', a host that is neither a host name nor an IP address. Write 127",
    ),
    ("PUBLIC_URL", "https://my_host", "PUBLIC_URL names a host that contains _"),
    ("PUBLIC_URL", "https://a.example?x", "PUBLIC_URL has a query or a fragment"),
    (
        "PUBLIC_URL",
        "https://a .example",
        "PUBLIC_URL contains a space, a backslash or a control character.",
    ),
    (
        "PUBLIC_URL",
        "https://us:hidden@a.example",
        "PUBLIC_URL contains a user or a password, which every vendor would see.",
    ),
    (
        "PUBLIC_URL",
        "http://0.0.0.0:8000",
        "PUBLIC_URL names 0.0.0.0, which vendors can't reach.",
    ),
    ("PUBLIC_URL", "https://a.example:99999", "PUBLIC_URL is not a valid URL."),
    ("PUBLIC_URL", "https://a.example/a//b", "PUBLIC_URL has an invalid path."),
    (
        "PUBLIC_URL",
        "a.example",
        "PUBLIC_URL is 'a.example', but must be a full URL like https://jobs.example.com.",
    ),
    ("ALLOWED_HOSTS", "https://a.example/", "which no request can match. Write a.example."),
    (
        "ALLOWED_HOSTS",
        "a.example:8000,b.example",
        "which no request can match. Write a.example,b.example.",
    ),
    ("ALLOWED_HOSTS", "*.a.example", "which no request can match. Write .a.example."),
    (
        "ALLOWED_HOSTS",
        '["a.example", "b.example"]',
        "which no request can match. Write a.example,b.example.",
    ),
    (
        "ALLOWED_HOSTS",
        "a.example b.example",
        "which no request can match. Write a.example,b.example.",
    ),
    ("ALLOWED_HOSTS", "[::1]:8000", "which no request can match. Write [::1]."),
    (
        "ALLOWED_HOSTS",
        "my_host",
        "which no request can match. Write host names, such as jobs.example.com.",
    ),
    (
        "REDIS_URL",
        "redis://:hid/den@host",
        "REDIS_URL is not a valid URL. Write redis://host:6379/0",
    ),
    ("REDIS_URL", "redis://host/none", "REDIS_URL is not a valid URL."),
    ("REDIS_URL", "redis://host/0?tls=yes", "REDIS_URL is not a valid URL."),
    ("REDIS_URL", "host:6379", "REDIS_URL must be redis://host:6379/0"),
    ("DATABASE_URL", "sqlite://", "DATABASE_URL does not name a SQLite file. Write the full path"),
    ("DATABASE_URL", "sqlite:jobs.sqlite3", "DATABASE_URL does not name a SQLite file."),
    ("DATABASE_URL", "sqlite:///:memory:", "DATABASE_URL does not name a SQLite file."),
    (
        "DATABASE_URL",
        "sqlite://host/jobs",
        "DATABASE_URL names a host, which SQLite does not have.",
    ),
    ("DATABASE_URL", "sqlite:////srv/jobs?timeout=5", "DATABASE_URL has a ? or #"),
    (
        "ENRICHLABS_DATA",
        "~nobody-of-this-name/x",
        "that home folder is unknown. Write the full path.",
    ),
]


def test_each_wrong_value_is_refused_in_one_line(refused: Callable[..., list[str]]) -> None:
    """In rounds of one value per variable: a process for each value would take a minute."""
    left = WRONG
    while left:
        chosen = {name: (value, sentence) for name, value, sentence in reversed(left)}
        left = [each for each in left if chosen[each[0]] != each[1:]]
        lines = refused(**{name: value for name, (value, _) in chosen.items()})
        assert len(lines) == len(chosen), lines
        for name, (_, sentence) in chosen.items():
            [line] = [line for line in lines if line.startswith(f"{name} ")]
            assert sentence in line
            assert "hid" not in line


@pytest.mark.parametrize(
    ("variables", "names", "expected"),
    [
        (
            {"PUBLIC_URL": "HTTPS://Bücher.example:443/"},
            "PUBLIC_URL",
            ["https://xn--bcher-kva.example"],
        ),
        (
            {"PUBLIC_URL": "https://a.example/gateway/"},
            "PUBLIC_URL,CSRF_TRUSTED_ORIGINS",
            ["https://a.example/gateway", ["https://a.example"]],
        ),
        ({"HOST": "::1", "PORT": "8123"}, "HOST,PUBLIC_URL", ["[::1]", "http://[::1]:8123"]),
        ({"HOST": "127.0.0.2"}, "PUBLIC_URL", ["http://127.0.0.2:8000"]),
        (
            {"HOST": "127.0.0.2"},
            "ALLOWED_HOSTS",
            [["localhost", "127.0.0.1", "[::1]", "127.0.0.2"]],
        ),
        (
            {"HOST": "0.0.0.0"},
            "PUBLIC_URL,ALLOWED_HOSTS",
            ["http://127.0.0.1:8000", ["localhost", "127.0.0.1", "[::1]"]],
        ),
        ({"HOST": "::"}, "PUBLIC_URL", ["http://[::1]:8000"]),
        (
            {"PUBLIC_URL": "http://[2001:db8::1]"},
            "ALLOWED_HOSTS",
            [["localhost", "127.0.0.1", "[::1]", "[2001:db8::1]"]],
        ),
        (
            {"ALLOWED_HOSTS": "A.example, ::1,.b.example,*"},
            "ALLOWED_HOSTS",
            [["a.example", "[::1]", ".b.example", "*", HERE]],
        ),
        ({"ENRICHLABS_DATA": "~/x", "HOME": "/tmp/home"}, "DATA", ["/tmp/home/x"]),
        (
            {"ENRICHLABS_VENDORS": "~/v.toml", "HOME": "/tmp/home"},
            "VENDORS_FILE",
            ["/tmp/home/v.toml"],
        ),
        ({"ENRICHLABS_VENDORS": "v.toml"}, "VENDORS_FILE", [f"{ROOT}/v.toml"]),
        (
            {"VENDOR_VARIABLE_PREFIXES": "VENDOR_, ACME_CORP_"},
            "VENDOR_VARIABLE_PREFIXES",
            [["VENDOR_", "ACME_CORP_"]],
        ),
        ({}, "VENDOR_VARIABLE_PREFIXES,SERVES", [["VENDOR_"], ["api", "admin", "webhooks"]]),
        ({"LOG_LEVEL": "warning", "DEBUG": "Yes"}, "DEBUG", [True]),
    ],
)
def test_valid_values_are_normalized(
    shown: Callable[..., dict[str, object]],
    tmp_path: Path,
    variables: dict[str, str],
    names: str,
    expected: list[object],
) -> None:
    keys = {"SECRET_KEY": "s" * 32, "CALLBACK_SECRETS": "c" * 32}  # so that no data folder is made
    assert shown(names, **keys, **variables) == dict(zip(names.split(","), expected, strict=True))


APPLICATION = """
import json, os
def application(environ, start_response):
    start_response("200 OK", [])
    return [json.dumps(sorted(os.environ)).encode()]
"""


@pytest.mark.parametrize(
    ("doors", "kept"),
    [
        ("api", set()),
        ("mock", {"MOCK_KEY"}),
        ("api,mock", {"MOCK_KEY"}),
        ("webhooks", {"VENDOR_KEY", "MOCK_KEY"}),
        ("api,admin", {"VENDOR_KEY", "MOCK_KEY"}),
    ],
)
def test_gunicorn_removes_variables_that_its_doors_do_not_need(
    tmp_path: Path, doors: str, kept: set[str]
) -> None:
    (tmp_path / "shows.py").write_text(APPLICATION)
    port = free_port()
    options = f"-c python:enrichlabs.gunicorn -w 1 -b {HERE}:{port}"
    command = [sys.executable, "-m", "gunicorn", *options.split(), "shows"]
    names = ["VENDOR_KEY", "MOCK_KEY", "ADMIN_PASSWORD", "DJANGO_SUPERUSER_PASSWORD"]
    variables = dict.fromkeys(names, "x")
    others = {"VENDOR_VARIABLE_PREFIXES": "VENDOR_,MOCK_", "MOCK_PORT": free_port()}
    others |= {"SERVES": doors, "PORT": port, "PYTHONPATH": tmp_path}
    given = environment(tmp_path / "data", **variables, **others)
    process = subprocess.Popen(command, cwd=ROOT, env=given)
    try:
        names = set(json.loads(wait_for(lambda: answer_of(port), "gunicorn to answer", 60)))
    finally:
        process.terminate()
        process.wait(30)
    assert names & variables.keys() == kept
    assert {"VENDOR_VARIABLE_PREFIXES", "MOCK_PORT"} <= names


def answer_of(port: int) -> bytes:
    try:
        return get(port, "/")[1]
    except OSError:
        return b""
