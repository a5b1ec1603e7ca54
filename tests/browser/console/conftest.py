"""A service with a day of history: on SQLite or, under harness.mongodb, on MongoDB's protocol."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from harness.ports import free_port
from harness.running import ROOT, Server, environment
from tests.browser.conftest import PASSWORD, Site, fill_login, new_context, visit

JOBS = 900


@dataclass
class Console(Site):
    """`rows` has the ids of rows to visit, and `cookies` those of the signed-in admin."""

    rows: dict[str, str] = field(default_factory=dict)
    cookies: Any = None

    def run(self, *module: str) -> str:
        command = [sys.executable, "-m", *module]
        done = subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory, chromium: Browser) -> Iterator[Console]:
    """The console of the demo, in which every text that others write is HTML."""
    folder = tmp_path_factory.mktemp("console") / "data"
    port = free_port()
    variables = {"PORT": port, "MOCK_PORT": free_port(), "ADMIN_PASSWORD": PASSWORD}
    variables |= {"DATABASE_URL": own_database(), "LOG_LEVEL": "WARNING"}
    console = Console(None, environment(folder, **variables), f"http://127.0.0.1:{port}")
    console.run("demo", "--only-fill", "--jobs", str(JOBS))
    console.rows = json.loads(console.run("tests.browser.hostile"))
    file = folder / "demo-vendors.toml"
    server = Server(folder, ENRICHLABS_VENDORS=file, MOCK_VENDORS=1, **variables)
    console.server = server
    try:
        server.wait_until_ready()
        console.cookies = signed_in(chromium, console)
        yield console
    finally:
        server.kill()


def own_database() -> str:
    """Return the URL of an empty database on the MongoDB of the tests; empty for SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    name = f"/test_console_{secrets.token_hex(4)}"
    return urlunsplit(urlsplit(url)._replace(path=name)) if url.startswith("mongodb") else ""


def signed_in(chromium: Browser, console: Console, user: str = "admin") -> Any:
    """Return the browser's state once the user has signed in."""
    context = new_context(chromium)
    fill_login(context.new_page(), console, user)
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def context(chromium: Browser, console: Console) -> Iterator[BrowserContext]:
    """A browser in which the admin is signed in."""
    yield from signed_in_context(chromium, console)


def signed_in_context(
    chromium: Browser, console: Console, cookies: Any = None
) -> Iterator[BrowserContext]:
    context = new_context(chromium, storage_state=cookies or console.cookies)
    yield context
    context.close()


@pytest.fixture
def open_page(page: Page, console: Console) -> Callable[[str], Page]:
    """Return a function that opens a path of the console, which must answer with 200."""

    def open_page(path: str) -> Page:
        answer = visit(page, console.url + path)
        assert answer.status == 200, (path, answer.status)
        return page

    return open_page
