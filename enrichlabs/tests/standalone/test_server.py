"""The whole service under its supervisor, as script/server runs it."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import redis

from harness.ports import free_port
from harness.running import ROOT, Server, environment, processes_of
from harness.waiting import wait_for


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(
        tmp_path_factory.mktemp("running") / "data", PORT=free_port(), MOCK_PORT=free_port()
    )
    yield server.wait_until_ready()
    server.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers on one data folder, without mock vendors."""
    vendors = tmp_path / "vendors.toml"
    vendors.write_text(
        '[vendors.acme]\nadapter = "http"\nurl = "POST http://127.0.0.1:9/"\n'
        'json = { mail = "{input.email}" }\ninput = { email = "required" }\n'
    )
    variables = {"PORT": free_port(), "ENRICHLABS_VENDORS": vendors}
    started = []

    def start(**more: object) -> Server:
        started.append(Server(tmp_path / "data", **variables, **more))
        return started[-1]

    yield start
    for server in started:
        server.kill()


def manage(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment(folder), capture_output=True, text=True, check=True
    ).stdout


def log_in(port: int, password: str) -> int:
    """Return the status of a login: 302 with the right password, 200 (the form again) otherwise."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/admin/login/")
    cookie = connection.getresponse().headers["Set-Cookie"].split(";")[0]
    token = cookie.partition("=")[2]
    body = f"username=admin&password={password}&csrfmiddlewaretoken={token}"
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/admin/login/", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_the_printed_login_works(running: Server) -> None:
    printed = re.search(r"user admin, password (\S+)", running.output)
    assert printed
    assert log_in(running.port, printed[1]) == 302
    assert log_in(running.port, "another") == 200


def test_the_service_is_ready_once_it_prints_so(running: Server) -> None:
    assert running.get("/readyz") == (200, b'{"store": "ok", "redis": "ok", "worker": "ok"}')
    assert running.get("/docs")[0] == 200
    assert b"/jobs/{request_id}" in running.get("/schema")[1]


def job_after(
    port: int, method: str, path: str, body: str = "", host: str = "127.0.0.1"
) -> dict[str, object]:
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        connection.request(method, path, body or None, {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status in (200, 202), response.read()
        return json.load(response)
    finally:
        connection.close()


@pytest.mark.parametrize(
    "variables", [{"HOST": "::1"}, {"HOST": "127.0.0.2", "ALLOWED_HOSTS": "api.example"}]
)
def test_the_printed_command_works_and_callbacks_arrive(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    of_vendors = {"VENDOR_ACME_KEY", "ACME_CORP_KEY", "MOCK_SECRET"}
    secrets = {**dict.fromkeys(of_vendors, "secret"), "ADMIN_PASSWORD": "a-secret-of-22-letters"}
    prefixes = {"VENDOR_VARIABLE_PREFIXES": "VENDOR_,ACME_CORP_,MOCK_"}
    ports = {"PORT": free_port(), "MOCK_PORT": free_port()}
    server = Server(tmp_path / "data", **ports, **variables, **secrets, **prefixes)
    try:
        server.wait_until_ready()
        printed = re.search(r"curl http://(\S+):(\d+)(/jobs) -H .* -d '(.*)'", server.output)
        assert printed
        host, port, path, body = printed.groups()
        assert host.strip("[]") == variables["HOST"]
        where = {"port": int(port), "host": host.strip("[]")}
        fetch = partial(job_after, **where, method="GET")
        for vendor in ("sync", "async"):
            job = json.dumps({**json.loads(body), "vendor": vendor})
            accepted = job_after(**where, method="POST", path=path, body=job)
            url = f"{path}/{accepted['request_id']}"
            wait_for(lambda url=url: fetch(path=url)["status"] == "complete", "the result", 30)
        assert variables_of(server, "gunicorn", "webhooks") == {
            "VENDOR_ACME_KEY",
            "ACME_CORP_KEY",
            "MOCK_SECRET",
        }
        assert variables_of(server, "run_worker") == {
            "VENDOR_ACME_KEY",
            "ACME_CORP_KEY",
            "MOCK_SECRET",
        }
        assert variables_of(server, "gunicorn", "SERVES=mock") == {"MOCK_SECRET"}
        assert variables_of(server, "valkey-server") == set()
    finally:
        server.kill()


def test_startup_warns_of_mock_vendors_that_are_not_running(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    manage(tmp_path / "data", "migrate")
    manage(tmp_path / "data", "load_vendors", "--mocks", "http://127.0.0.1:8001")
    server = start().wait_until_ready()
    warning = "These vendors are mock vendors, which are not running: async, sync. Disable them"
    assert warning in server.output
    assert '{"vendor": "acme", "email": "john.doe@example.com"}' in server.output


def variables_of(server: Server, words: str, variable: str = "") -> set[str]:
    """Return the names of passwords and vendor variables in the environment of a process."""
    [environ] = [
        content
        for pid in server.children(words)
        if variable in (content := Path(f"/proc/{pid}/environ").read_bytes().decode())
    ]
    names = {each.partition("=")[0] for each in environ.split("\0")}
    return {
        name
        for name in names
        if name == "ADMIN_PASSWORD" or re.match("VENDOR_A|ACME_|MOCK_SECRET", name)
    }


def test_a_killed_worker_is_restarted(running: Server) -> None:
    [killed] = running.children("run_worker")
    os.kill(killed, signal.SIGKILL)
    wait_for(
        lambda: "The worker ended by SIGKILL; restarting it" in running.output,
        "a log line",
    )
    assert wait_for(lambda: running.children("run_worker"), "another worker") != [killed]


def test_a_killed_valkey_is_restarted_with_its_data(running: Server) -> None:
    client = redis.Redis(unix_socket_path=str(running.folder / "valkey.sock"))
    client.set("kept", "yes")
    client.waitaof(1, 0, 10_000)  # on disk after a second or two: appendfsync is everysec
    os.kill(running.children("valkey-server")[0], signal.SIGKILL)
    wait_for(
        lambda: "The embedded Valkey ended by SIGKILL; restarting it" in running.output,
        "a log line",
    )
    wait_for(lambda: running.get("/readyz")[0] == 200, "the service to be ready again")
    assert client.get("kept") == b"yes"
    client.close()


def test_a_second_server_on_the_same_data_folder_is_refused(running: Server) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "enrichlabs.server"],
        cwd=ROOT,
        env=environment(running.folder, PORT=free_port()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert second.returncode == 1
    assert re.fullmatch(
        r"enrichlabs: Another server is running on the data folder .*\n", second.stderr
    )


def test_a_restart_keeps_data_and_a_stop_or_kill_leaves_no_process(
    start: Callable[..., Server],
) -> None:
    first = start().wait_until_ready()
    change = (
        "from django.contrib.auth.models import User; u = User.objects.get(); "
        "u.set_password('mine'); u.save()"
    )
    manage(first.folder, "shell", "-c", change)
    assert first.stop(signal.SIGINT) == 0
    assert processes_of(first.folder) == {}
    second = start().wait_until_ready()
    assert log_in(second.port, "mine") == 302
    assert "user admin, with the password that you have set" in second.output
    second.process.kill()
    wait_for(lambda: not processes_of(second.folder), "all processes of a killed supervisor to end")


def test_a_valkey_without_its_supervisor_keeps_the_data_folder_locked(
    start: Callable[..., Server],
) -> None:
    first = start().wait_until_ready()
    [valkey] = first.children("valkey-server")
    os.kill(valkey, signal.SIGSTOP)
    first.process.kill()
    second = start()
    assert second.process.wait(30) == 1
    assert "Another server is running on the data folder" in second.output
