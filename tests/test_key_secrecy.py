"""An API key is in no log, file, store, Redis or page, wherever a client puts it by mistake."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from harness.ports import free_port
from harness.raw import connect
from harness.running import ROOT, Server, environment
from harness.waiting import wait_for

JOB = b'{"vendor": "sync", "name": "John Doe"}'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    ports = {"PORT": free_port(), "MOCK_PORT": free_port()}
    server = Server(tmp_path / "data", **ports, LOG_LEVEL="DEBUG")
    yield server.wait_until_ready()
    server.kill()


def ask(port: int, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> str:
    """Return the whole answer as text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        return f"{response.status} {response.headers}{response.read().decode()}"
    finally:
        connection.close()


def requests(key: str) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """Yield requests that have the key in all sorts of places."""
    right = {"Authorization": f"Bearer {key}"}
    as_json = {"Content-Type": "application/json"}
    yield "POST", "/jobs", {**right, **as_json}, JOB
    yield "POST", "/jobs", {**right, **as_json}, b'{"vendor": "' + key.encode() + b'"}'
    yield "POST", "/jobs", {**right, **as_json}, b'{"vendor": "sync", "' + key.encode()
    yield "POST", "/jobs", as_json, json.dumps({"api_key": key, "vendor": "sync"}).encode()
    yield "POST", "/jobs", {**right, "Content-Type": key}, JOB
    for path in ("/jobs", f"/jobs/{key}", f"/jobs?vendor={key}", f"/jobs?cursor={key}", "/metrics"):
        yield "GET", path, right, b""
    for path in (f"/jobs?api_key={key}", f"/{key}", f"/{key[:30]}", f"/vendor-webhook/{key}/x"):
        yield "GET", path, {}, b""
    for value in (f"Basic {key}", key, f"Bearer  {key}", f"Bearer {key}, Bearer {key}"):
        yield "GET", "/jobs", {"Authorization": value}, b""
    for name in ("X-Api-Key", "Cookie", "Referer", "User-Agent", "Origin", "Host", "Prefer"):
        yield "GET", "/jobs", {name: key}, b""


def malformed(key: str) -> list[bytes]:
    """Return requests that are refused before anything of ours sees them."""
    line, host = b"GET / HTTP/1.1\r\n", b"Host: localhost\r\n"
    text = key.encode()
    return [
        b"GET /" + text + b" HTTP/9.9\r\n" + host + b"\r\n",
        text + b" / HTTP/1.1\r\n" + host + b"\r\n",
        line + host + b"Authorization Bearer " + text + b"\r\n\r\n",
        line + host + b"Authorization: Bearer " + text + b"\x01\r\n\r\n",
        line + host + b"Authorization: Bearer\r\n " + text + b"\r\n\r\n",
    ]


def stored_in_redis(folder: Path) -> bytes:
    with redis.Redis(unix_socket_path=str(folder / "valkey.sock")) as client:
        return b" ".join(name + (client.dump(name) or b"") for name in client.scan_iter())


def manage(server: Server, *arguments: str) -> tuple[str, str]:
    ended = subprocess.run(
        [sys.executable, "manage.py", "api_key", *arguments],
        cwd=ROOT,
        env=environment(server.folder, LOG_LEVEL="DEBUG"),
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout, ended.stderr


def test_a_key_is_found_nowhere(server: Server) -> None:
    output, explained = manage(server, "create", "--scopes", "jobs:submit jobs:read")
    key = output.strip()
    answers = [ask(server.port, *request) for request in requests(key)]
    assert answers[0].startswith("202 ")
    assert {answer[:4] for answer in answers} >= {"202 ", "400 ", "401 ", "404 "}
    for request in malformed(key):
        with connect(server.port, request) as connection:
            answers.append(connection.makefile("rb").read().decode(errors="replace"))
    right = {"Authorization": f"Bearer {key}"}
    wait_for(
        lambda: '"complete"' in ask(server.port, "GET", "/jobs?status=complete", right), "the job"
    )
    output, more = manage(server, "rotate", key)
    new = output.strip()
    ended, _ = manage(server, "revoke", key, "--reason", "Leaked.")
    _, refusal = manage(server, "revoke", key[:-1])
    listed, _ = manage(server, "list")
    assert "replaced by" not in ended
    assert "That does not name an API key." in refusal

    def unanswered() -> bool:
        return ask(server.port, "GET", "/jobs", right).startswith("401 ")

    wait_for(unanswered, "the revoked key to be refused", 5)
    texts = {
        "answers": "".join(answers),
        "commands": explained + more + ended + refusal + listed,
        "log": server.output,
    }
    found = {name: text.encode() for name, text in texts.items()}
    found["redis"] = stored_in_redis(server.folder)
    for path in server.folder.rglob("*"):
        if path.is_file():
            found[str(path)] = path.read_bytes()
    for secret in (key[12:30], new[12:44]):
        assert [where for where, content in found.items() if secret.encode() in content] == []
    assert any(key[4:12].encode() in content for content in found.values())  # it was looked for
