"""What the console says and does while there is no worker, or Redis is away."""

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
def frozen(console: Console, *pids: int) -> Iterator[None]:
    """Freeze these processes of the service, and wait until it is ready again."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        wait_for(lambda: is_ready(console), "the service to be ready again", BACK_SECONDS)


@contextmanager
def no_worker(console: Console) -> Iterator[None]:
    """Kill the workers, and freeze what would start others. A frozen worker could hold a lock of
    SQLite.
    """
    with frozen(console, console.server.process.pid):
        for pid in running(console, "run_worker"):
            os.kill(pid, signal.SIGKILL)
        yield


def running(console: Console, command: str) -> list[int]:
    found = [pid for pid, line in processes_of(console.server.folder).items() if command in line]
    assert found
    return found


def is_ready(console: Console) -> bool:
    return console.server.get("/readyz")[0] == HTTPStatus.OK


def test_pages_come_while_redis_is_away(open_page: Callable[[str], Page], console: Console) -> None:
    with frozen(console, *running(console, "valkey-server")):
        see(open_page, "jobs are accepted, and run when it is back", PAGE_SECONDS)
        started_at = time.monotonic()
        page = open_page("/admin/jobs/job/?status=failed")
        assert time.monotonic() - started_at < PAGE_SECONDS
        expect(page.locator("main tbody tr").first).to_contain_text("failed")


def see(open_page: Callable[[str], Page], words: str, page_seconds: float = SEEN_SECONDS) -> None:
    """Load the overview until it says so."""
    end = time.monotonic() + SEEN_SECONDS
    while True:
        started_at = time.monotonic()
        problems = open_page("/admin/").locator("#problems").inner_text()
        assert time.monotonic() - started_at < page_seconds
        if words in problems:
            return
        assert time.monotonic() < end, problems


def test_the_overview_says_that_no_worker_is_left(
    open_page: Callable[[str], Page], console: Console
) -> None:
    with no_worker(console):
        see(open_page, "No worker is alive")


def test_a_bulk_action_is_cancelled(open_page: Callable[[str], Page], console: Console) -> None:
    """While no worker carries it out, so that none of it is done."""
    page = open_page("/admin/bulk/plan/?kind=retry&status=failed&vendor=sanctions")
    main = page.locator("main")
    with no_worker(console):
        for box in main.get_by_role("checkbox").all():
            box.check()
        page.get_by_label("Reason").first.fill("By mistake")
        main.get_by_role("button", name=re.compile("^Retry")).first.click()
        main.get_by_role("button", name="Cancel", exact=True).click()
        expect(page.locator("body")).to_contain_text("The bulk action is cancelled.")
    expect(main).to_contain_text("Cancelled: 0 jobs retried before.", timeout=BACK_SECONDS * 1000)
    page = open_page("/admin/audit/?action=bulk.cancelled")
    expect(page.locator("main")).to_contain_text("running → cancelled")
