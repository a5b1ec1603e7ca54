"""What the console says and does while workers or Redis are frozen."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import pytest
from playwright.sync_api import Page, expect

from harness.running import processes_of
from harness.waiting import wait_for
from tests.browser.console.conftest import Console

SEEN_SECONDS = 10.0
PAGE_SECONDS = 2.0
BACK_SECONDS = 60.0

pytestmark = pytest.mark.sqlite


@contextmanager
def frozen(console: Console, command: str) -> Iterator[None]:
    """Freeze these processes of the service, and wait until it is ready again."""
    found = [pid for pid, line in processes_of(console.server.folder).items() if command in line]
    assert found
    try:
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in found:
            os.kill(pid, signal.SIGCONT)
        wait_for(lambda: is_ready(console), "the service to be ready again", BACK_SECONDS)


def is_ready(console: Console) -> bool:
    return console.server.get("/readyz")[0] == HTTPStatus.OK


@pytest.fixture(scope="module")
def no_worker(console: Console) -> Iterator[None]:
    with frozen(console, "run_worker"):
        yield


@pytest.mark.usefixtures("no_worker")
def test_the_overview_says_that_no_worker_is_left(open_page: Callable[[str], Page]) -> None:
    end = time.monotonic() + SEEN_SECONDS
    problems = open_page("/admin/").locator("#problems")
    while "No worker is alive" not in problems.inner_text():
        assert time.monotonic() < end, problems.inner_text()
        open_page("/admin/")


@pytest.mark.usefixtures("no_worker")
def test_a_bulk_action_is_cancelled(open_page: Callable[[str], Page]) -> None:
    """While no worker carries it out, so that none of it is done."""
    page = open_page("/admin/bulk/plan/?kind=retry&status=failed&vendor=sanctions")
    main = page.locator("main")
    for box in main.get_by_role("checkbox").all():
        box.check()
    page.get_by_label("Reason").first.fill("By mistake")
    main.get_by_role("button", name=re.compile("^Retry")).first.click()
    main.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("body")).to_contain_text("The bulk action is cancelled.")
    expect(main).to_contain_text("Cancelled: 0 retried before.")
    page = open_page("/admin/audit/?action=bulk.cancelled")
    expect(page.locator("main")).to_contain_text("By mistake")


def test_pages_come_while_redis_is_away(open_page: Callable[[str], Page], console: Console) -> None:
    open_page("/admin/")  # which leaves nothing to read but the page
    with frozen(console, "valkey-server"):
        for path, words in {
            "/admin/": "jobs are accepted, and run when it is back",
            "/admin/jobs/job/": "failed",
        }.items():
            started_at = time.monotonic()
            page = open_page(path)
            assert time.monotonic() - started_at < PAGE_SECONDS, path
            expect(page.locator("body")).to_contain_text(words)
