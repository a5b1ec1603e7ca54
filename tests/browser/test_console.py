"""The console in a browser: signing in works, and its cookie opens nothing else."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Site

ASK_THE_API = """async ([url, method]) => {
    const answer = await fetch(url, {method, credentials: "include"});
    return [answer.status, (await answer.json()).code];
}"""


def test_an_operator_signs_in_and_out(
    page: Page, sign_in: Callable[[], None], errors: list[str]
) -> None:
    sign_in()
    expect(page.locator("#user-tools")).to_contain_text("admin")
    for path in ("jobs/job/", "vendors/vendor/", "jobs/callback/"):
        page.goto(f"{page.url.partition('/admin/')[0]}/admin/{path}")
        expect(page.locator("#content")).to_be_visible()
    page.locator("#logout-form button").click()
    expect(page.locator("#content")).to_contain_text("Logged out")
    assert errors == []


def test_the_cookie_of_the_console_does_not_authenticate_the_api(
    page: Page, site: Site, sign_in: Callable[[], None]
) -> None:
    sign_in()
    assert "sessionid" in {cookie["name"] for cookie in page.context.cookies()}
    for method, path in [("GET", "/jobs"), ("POST", "/jobs"), ("GET", "/vendors")]:
        answer = page.evaluate(ASK_THE_API, [site.url + path, method])
        assert answer == [401, "unauthorized"], (method, path)
