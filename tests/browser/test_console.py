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
    for path in ("jobs/job/", "jobs/batch/", "vendors/vendor/", "jobs/callback/"):
        page.goto(f"{page.url.partition('/admin/')[0]}/admin/{path}")
        expect(page.locator("#content")).to_be_visible()
    page.locator("#user-tools summary").click()
    page.locator("#logout-form button").click()
    expect(page.locator(".messagelist")).to_contain_text("You are logged out")
    assert errors == []


def test_the_cookie_of_the_console_does_not_authenticate_the_api(
    page: Page, site: Site, sign_in: Callable[[], None]
) -> None:
    sign_in()
    assert "sessionid" in {cookie["name"] for cookie in page.context.cookies()}
    for method, path in [("GET", "/jobs"), ("POST", "/jobs"), ("GET", "/vendors")]:
        answer = page.evaluate(ASK_THE_API, [site.url + path, method])
        assert answer == [401, "unauthorized"], (method, path)


def test_a_new_api_key_is_shown_once_and_works(
    page: Page, site: Site, sign_in: Callable[[], None], errors: list[str]
) -> None:
    sign_in()
    page.goto(f"{site.url}/admin/clients/apikey/add/")
    page.select_option("select[name=client]", label="default")
    page.fill("[name=name]", "browser test")
    page.check("input[name=scopes][value='jobs:read']")
    page.click("input[name=_save]")
    key = page.locator("input.new-key").input_value()
    assert site.ask("/jobs", key=key)["items"] is not None
    assert key not in page.url + str(page.context.cookies())
    page.goto(page.url)
    assert key not in page.content()
    page.goto(f"{site.url}/admin/clients/apikey/")
    expect(page.locator("#result_list")).to_contain_text("browser test")
    assert key[:12] in page.content()
    assert key not in page.content()
    assert errors == []
