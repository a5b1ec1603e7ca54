"""Every page, light and dark, on a laptop and on a phone: all can read it, and nothing runs in it
that is not ours.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib import admin
from playwright.sync_api import Browser, BrowserContext
from playwright.sync_api import Page as Tab

from tests.browser.console import reading
from tests.browser.console.conftest import Console, signed_in_context
from tests.browser.console.pages import ACTS, LEFT_OUT, PAGES, Page

# A page looks the same on either store.
ON_MONGODB = "mongodb" in os.environ.get("DATABASE_URL", "")
LOOKS = (reading.WIDTHS[:1], reading.SCHEMES[:1]) if ON_MONGODB else ()
VISITED = [page for page in PAGES if not (ON_MONGODB and page.reads_permissions)]


@pytest.fixture(scope="module")
def context(chromium: Browser, console: Console) -> Iterator[BrowserContext]:
    """One browser for all pages, which keeps our script and style."""
    yield from signed_in_context(chromium, console)


@pytest.mark.parametrize("found", VISITED, ids=lambda page: page.label)
def test_a_page_can_be_read_by_all(
    open_page: Callable[[str], Tab], console: Console, errors: list[str], found: Page
) -> None:
    tab = open_page(found.path(console.rows))
    faults = list(reading.faults(tab, *LOOKS))
    made = tab.locator("img[src=x]").count()  # of the markup in names and texts
    tab.close()
    assert "\n".join(errors + faults) == ""
    assert made == 0


def test_every_page_is_visited() -> None:
    names = {pattern.name for pattern in patterns(admin.site.urls[0]) if pattern.name}
    known = {page.name for page in PAGES} | ACTS | LEFT_OUT
    assert sorted(names - known) == []


def patterns(found: list[Any]) -> Iterator[Any]:
    for each in found:
        yield from patterns(each.url_patterns) if hasattr(each, "url_patterns") else [each]
