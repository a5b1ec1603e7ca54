"""python -m demo.pictures FOLDER: takes the pictures of the docs from a demo of its own.

CHROMIUM names the browser. Needs the packages of requirements-browser.txt.
"""

import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Page, sync_playwright

from harness.ports import free_port
from harness.running import ROOT, environment

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
ALIVE_SECONDS = 60.0  # of traffic before the pictures
START_SECONDS = 180.0
LAPTOP, PHONE = 1280, 390
READY = "user victor"  # ends what the demo prints


class Picture(NamedTuple):
    name: str
    path: str
    scheme: Any = "light"
    width: int = LAPTOP
    height: int = 860
    link: str = ""  # in the page, to follow first


PICTURES = (
    Picture("console", "/admin/", height=1150),
    Picture("console-dark", "/admin/?range=day", scheme="dark", height=1150),
    Picture("console-phone", "/admin/", width=PHONE),
    Picture("console-job", "/admin/jobs/job/?status=failed&vendor=emails", link="main tbody th a"),
    Picture("console-errors", "/admin/errors/?hours=24"),
    Picture("console-vendor", "/admin/vendors/vendor/", link="main tbody a:text('emails')"),
)


def main() -> None:
    folder = Path(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # ends the demo
    with running_demo() as (url, password), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=ARGUMENTS)
        page = browser.new_page(device_scale_factor=1)
        sign_in(page, url, password)
        for picture in PICTURES:
            take(page, url, picture, folder)
        browser.close()


@contextmanager
def running_demo() -> Iterator[tuple[str, str]]:
    """Yield the URL of a demo that has run for a while, and the password of its admin."""
    port, password = free_port(), secrets.token_urlsafe(16)
    with tempfile.TemporaryDirectory(prefix="pictures-") as name:
        variables = {"PORT": port, "MOCK_PORT": free_port(), "ADMIN_PASSWORD": password}
        output = Path(name) / "demo.log"
        with output.open("w") as file:
            demo = subprocess.Popen(
                [sys.executable, "-m", "demo"],
                cwd=ROOT,
                env=environment(Path(name) / "data", **variables),
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until_alive(demo, output)
            yield f"http://127.0.0.1:{port}", password
        finally:
            demo.terminate()
            demo.wait()


def wait_until_alive(demo: "subprocess.Popen[bytes]", output: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while READY not in output.read_text():
        if demo.poll() is not None or time.monotonic() > end:
            sys.exit(f"The demo did not start.\n{output.read_text()}")
        time.sleep(0.2)
    time.sleep(ALIVE_SECONDS)


def sign_in(page: Page, url: str, password: str) -> None:
    page.goto(f"{url}/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", password)
    page.press("#id_password", "Enter")
    page.wait_for_url(re.compile("/admin/$"))


def take(page: Page, url: str, picture: Picture, folder: Path) -> None:
    page.emulate_media(color_scheme=picture.scheme)
    page.set_viewport_size({"width": picture.width, "height": picture.height})
    page.goto(url + picture.path)
    if picture.link:
        page.locator(picture.link).first.click()
    page.wait_for_load_state("networkidle")
    page.screenshot(path=folder / f"{picture.name}.png")


if __name__ == "__main__":
    main()
