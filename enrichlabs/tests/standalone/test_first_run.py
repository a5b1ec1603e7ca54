"""What script/server says about API keys, and whether it answers requests without one."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enrichlabs.standalone import welcome
from enrichlabs.tests.standalone.test_server import manage
from harness.ports import free_port
from harness.running import Server
from harness.waiting import wait_for

MAKE_KEY = (
    "from clients import issuing; from clients.models import Client;"
    "from audit.record import Actor; client, _ = Client.objects.get_or_create(slug='default');"
    "issuing.create(client, Actor('test', ''), name='first', scopes='jobs:read')"
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    started = []

    def start(**variables: object) -> Server:
        ports = {"PORT": free_port(), "MOCK_PORT": free_port()}
        started.append(Server(tmp_path / "data", **ports, **variables).wait_until_ready())
        return started[-1]

    yield start
    for server in started:
        server.kill()


def test_the_first_key_ends_anonymous_access(start: Callable[..., Server]) -> None:
    server = start()
    assert server.get("/jobs")[0] == 200
    assert welcome.OPEN in server.output
    assert re.search(r"Make one: export API_KEY=\$\(.*api_key create\)", server.output)
    manage(server.folder, "shell", "-c", MAKE_KEY)
    wait_for(lambda: server.get("/jobs")[0] == 401, "anonymous access to end", seconds=2)
    server.stop()
    server = start()
    assert server.get("/jobs")[0] == 401
    assert welcome.NEEDED in server.output
    assert '-H "Authorization: Bearer $API_KEY"' in server.output


@pytest.mark.parametrize(
    "variables",
    [
        {"ALLOW_ANONYMOUS": "0"},
        {"HOST": "0.0.0.0"},
        {"PUBLIC_URL": "http://gateway.example"},
        {"PUBLIC_URL": "https://127.0.0.1"},
    ],
)
def test_a_service_that_others_reach_needs_keys(
    start: Callable[..., Server], variables: dict[str, str]
) -> None:
    server = start(**variables)
    assert server.get("/jobs")[0] == 401
    assert welcome.CLOSED in server.output
    assert re.search(r"Make one: export API_KEY=\$\(.*api_key create\)", server.output)


def test_anonymous_access_can_be_set_for_a_service_that_others_reach(
    start: Callable[..., Server],
) -> None:
    server = start(HOST="0.0.0.0", ALLOW_ANONYMOUS="1", LOG_FORMAT="json")
    assert server.get("/jobs")[0] == 200
    assert welcome.OPEN in server.output
