"""Chromium, and the service that it visits. Run with script/browser-test; script/test leaves these
tests out.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from harness.ports import free_port
from harness.running import ROOT, Server, environment

if "BROWSER_TESTS" in os.environ:
    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Page,
        Response,
        sync_playwright,
    )
else:
    collect_ignore_glob = ["*"]

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PASSWORD = "correct horse battery staple"
BUSY = 503  # a request that has waited too long on a slow machine is refused
VISITS = 5
REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", event => console.error(
    `violation of ${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}`));
"""


@dataclass
class Site:
    """The whole service, on a store of its own. Until it has a key, it asks for none."""

    server: Server
    environment: dict[str, str]
    url: str = ""
    keys: list[str] = field(default_factory=list)

    def key(self) -> str:
        """Return an API key, which ends the requests without one."""
        if not self.keys:
            command = [sys.executable, "manage.py", "api_key", "create"]
            done = subprocess.run(
                command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=True
            )
            self.keys.append(done.stdout.strip())
        return self.keys[0]

    def ask(self, path: str, body: object = None, *, key: str = "") -> Any:
        """Send a request as a program does."""
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.url + path, data, headers), timeout=20) as response:
            return json.load(response)


def run_site(folder: Path) -> Iterator[Site]:
    port = free_port()
    variables = {"PORT": port, "MOCK_PORT": free_port(), "ADMIN_PASSWORD": PASSWORD}
    server = Server(folder / "data", **variables)
    try:
        server.wait_until_ready()
        yield Site(server, environment(folder / "data", **variables), f"http://127.0.0.1:{port}")
    finally:
        server.kill()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service with an API key."""
    for found in run_site(tmp_path_factory.mktemp("site")):
        found.key()
        yield found


@pytest.fixture(scope="session")
def open_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service without any API key, which takes requests from anybody on this machine."""
    yield from run_site(tmp_path_factory.mktemp("open-site"))


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: "Browser") -> Iterator["BrowserContext"]:
    """A browser without cookies."""
    context = new_context(chromium)
    yield context
    context.close()


def new_context(chromium: "Browser", **options: Any) -> "BrowserContext":
    """Return a browser in which colours change at once: axe would measure one half way."""
    context = chromium.new_context(reduced_motion="reduce", **options)
    context.set_default_timeout(30_000)
    return context


@pytest.fixture
def errors() -> list[str]:
    """What the pages of `page` report on the browser's console as errors."""
    return []


@pytest.fixture
def page(context: "BrowserContext", errors: list[str]) -> "Page":
    return new_page(context, errors)


def new_page(context: "BrowserContext", errors: list[str]) -> "Page":
    def note(message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning") and f"status of {BUSY}" not in message.text:
            errors.append(f"{message.text} ({message.location.get('url')})")

    page = context.new_page()
    page.add_init_script(REPORT_VIOLATIONS)
    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return page


def visit(page: "Page", url: str) -> "Response":
    """Open the page, and again if the service was too busy for it or for a file of it."""
    for _ in range(VISITS):
        with busy_answers(page) as refused:
            answer = page.goto(url)
        if not refused:
            break
    assert answer
    return answer


@contextmanager
def busy_answers(page: "Page") -> Iterator[list[str]]:
    refused: list[str] = []

    def note(response: "Response") -> None:
        if response.status == BUSY:
            refused.append(response.url)

    page.on("response", note)
    yield refused
    page.remove_listener("response", note)


@pytest.fixture
def sign_in(site: Site, page: "Page") -> Callable[[], None]:
    """Return a function that signs in to the console."""

    def sign_in() -> None:
        fill_login(page, site, "admin")

    return sign_in


def fill_login(page: "Page", site: Site, user: str) -> None:
    visit(page, f"{site.url}/admin/")
    page.fill("#id_username", user)
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.wait_for_url(f"{site.url}/admin/")
