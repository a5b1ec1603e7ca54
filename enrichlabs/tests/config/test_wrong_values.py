"""All wrong values of variables are refused at once, each in one line with the remedy."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.running import ROOT, environment

WRONG = [
    ("PORT", "８０", "PORT is '８０', but must be a whole number."),
    ("PORT", "8_000", "PORT is '8_000', but must be a whole number."),
    ("PORT", "0", "PORT is 0, but must be between 1 and 65535."),
    ("MOCK_PORT", "70000", "MOCK_PORT is 70000, but must be between 1 and 65535."),
    ("WORKER_THREADS", "0", "WORKER_THREADS is 0, but must be between 1 and 2147483647."),
    ("WORKER_PROCESSES", "two", "WORKER_PROCESSES is 'two', but must be a whole number."),
    ("API_DOCS", "2", "API_DOCS is '2', but must be 1 or 0."),
    ("DEBUG", "maybe", "DEBUG is 'maybe', but must be 1 or 0."),
    ("ALLOW_ANONYMOUS", "maybe", "ALLOW_ANONYMOUS is 'maybe', but must be 1 or 0."),
    (
        "TRUSTED_PROXIES",
        "10.0.0.1,proxy",
        "TRUSTED_PROXIES can't be read: 'proxy' does not appear to be an IPv4 or IPv6 network.",
    ),
    ("MOCK_VENDORS", "2", "MOCK_VENDORS is '2', but must be 1 or 0."),
    (
        "SERVES",
        "api;admin",
        "SERVES names api;admin. Choose from api, admin, webhooks, metrics, mock, separated by",
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


def test_anonymous_access_is_refused_with_https(refused: Callable[..., list[str]]) -> None:
    [line] = refused(ALLOW_ANONYMOUS="1", PUBLIC_URL="https://jobs.example.com")
    assert line.startswith("ALLOW_ANONYMOUS is 1, but PUBLIC_URL is https://: anybody could use")
    assert "manage.py api_key create" in line
