"""/docs shows the API and tries requests, under a policy without exceptions."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Site, visit


def open_docs(page: Page, site: Site) -> None:
    answer = visit(page, f"{site.url}/docs")
    assert "unsafe" not in answer.headers["content-security-policy"]
    expect(page.locator("#operations-jobs-post_job")).to_be_visible()


def authorize(page: Page, key: str) -> None:
    page.click("button.authorize")
    page.fill(".auth-container input", key)
    page.click(".auth-container button[type=submit]")
    page.click("button.btn-done")


def try_posting(page: Page) -> None:
    operation = page.locator("#operations-jobs-post_job")
    operation.locator(".opblock-summary-control").click()
    operation.locator("button.try-out__btn").click()
    operation.locator("button.execute").click()


def test_a_job_is_posted_with_a_key(page: Page, site: Site, errors: list[str]) -> None:
    open_docs(page, site)
    authorize(page, site.key())
    try_posting(page)
    status = page.locator("#operations-jobs-post_job .live-responses-table .response-col_status")
    expect(status.last).to_contain_text("202")
    assert [job["name"] for job in site.ask("/jobs", key=site.key())["items"]] == ["John Doe"]
    assert errors == []


def test_without_a_key_the_answer_is_401(page: Page, site: Site, errors: list[str]) -> None:
    open_docs(page, site)
    try_posting(page)
    status = page.locator("#operations-jobs-post_job .live-responses-table .response-col_status")
    expect(status.last).to_contain_text("401")
    # The browser itself reports the 401; nothing else.
    assert [error for error in errors if "401" not in error] == []


def test_every_operation_and_schema_opens(page: Page, site: Site, errors: list[str]) -> None:
    open_docs(page, site)
    operations = page.locator(".opblock-summary-control")
    operations.evaluate_all("found => found.forEach(each => each.click())")
    expect(page.locator(".opblock.is-open")).to_have_count(operations.count())
    models = page.locator("section.models button.model-box-control, .json-schema-2020-12-accordion")
    for number in range(min(models.count(), 10)):
        models.nth(number).click()
    page.wait_for_load_state("networkidle")
    assert errors == []


def test_nothing_is_asked_of_another_host(page: Page, site: Site) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_docs(page, site)
    page.wait_for_load_state("networkidle")
    assert [url for url in asked if not url.startswith(f"{site.url}/")] == []
