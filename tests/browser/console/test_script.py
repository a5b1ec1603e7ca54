"""What the console's script adds: it refreshes, and its keys can be turned off."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.console.conftest import Console

REFRESH_MS = 15_000


@pytest.mark.sqlite
def test_the_overview_is_small_and_refreshes_with_one_request(
    open_page: Callable[[str], Page], console: Console, page: Page, errors: list[str]
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page("/admin/")
    page.wait_for_load_state("networkidle")
    assert len(asked) <= 6, asked
    assert len(page.content().encode()) < 60_000
    details = page.locator("details:has-text('Show numbers')").first
    details.locator("summary").click()
    del asked[:]
    with page.expect_response(
        lambda it: it.url.startswith(f"{console.url}/admin/"), timeout=REFRESH_MS
    ):
        pass
    assert len(asked) == 1, asked
    expect(details).to_have_attribute("open", "")  # as the person left it
    assert errors == []


@pytest.mark.sqlite
def test_keys_open_pages_until_they_are_turned_off(
    open_page: Callable[[str], Page], page: Page, console: Console
) -> None:
    open_page("/admin/audit/")
    page.keyboard.press("j")
    page.wait_for_url(f"{console.url}/admin/jobs/job/**")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox").first).to_be_focused()
    page.keyboard.type("ojv")  # letters in a field are no keys
    expect(page).to_have_url(f"{console.url}/admin/jobs/job/")
    use_keys(page, False)
    page.keyboard.press("o")
    expect(page).to_have_url(f"{console.url}/admin/jobs/job/")
    page.reload()
    page.keyboard.press("o")
    use_keys(page, True)  # still on the list, whose keys work again
    page.keyboard.press("o")
    page.wait_for_url(f"{console.url}/admin/")


def use_keys(page: Page, wanted: bool) -> None:
    page.locator("#user-tools summary").click()
    page.locator("[data-keys]").click()
    page.get_by_role("dialog").get_by_label("Use these keys").set_checked(wanted)
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
