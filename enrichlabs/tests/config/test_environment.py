"""Variables are registered, normalized, and removed from processes that do not need them."""

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


def test_the_example_lists_exactly_the_registered_variables() -> None:
    listed = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert listed == env.SETTINGS_VARIABLES == settings.SETTINGS_VARIABLES


def test_an_unregistered_variable_cannot_be_read() -> None:
    with pytest.raises(LookupError, match="Add ACME_KEY to SETTINGS_VARIABLES"):
        env.text("ACME_KEY")


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
    ("serves", "kept"),
    [
        ("api", set()),
        ("mock", {"MOCK_KEY"}),
        ("api,mock", {"MOCK_KEY"}),
        ("webhooks", {"VENDOR_KEY", "MOCK_KEY"}),
        ("api,admin", {"VENDOR_KEY", "MOCK_KEY"}),
    ],
)
def test_gunicorn_removes_variables_that_its_routes_do_not_need(
    tmp_path: Path, serves: str, kept: set[str]
) -> None:
    (tmp_path / "shows.py").write_text(APPLICATION)
    port = free_port()
    options = f"-c python:enrichlabs.gunicorn -w 1 -b {HERE}:{port}"
    command = [sys.executable, "-m", "gunicorn", *options.split(), "shows"]
    names = ["VENDOR_KEY", "MOCK_KEY", "ADMIN_PASSWORD", "DJANGO_SUPERUSER_PASSWORD"]
    variables = dict.fromkeys(names, "x")
    others = {"VENDOR_VARIABLE_PREFIXES": "VENDOR_,MOCK_", "MOCK_PORT": free_port()}
    others |= {"SERVES": serves, "PORT": port, "PYTHONPATH": tmp_path}
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
