"""What a person on call does: with a mouse, and where it differs by the keyboard alone or without
script.
"""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import new_context, new_page, visit
from tests.browser.console.conftest import Console
from tests.browser.console.hands import Hands, Keyboard
from tests.browser.hostile import MARKUP

WAYS: dict[str, Callable[[Page], Hands]] = {
    "mouse": Hands,
    "keyboard": Keyboard,
    "without script": Hands,
}
# A vendor for each way, so that no flow undoes another.
SQLITE = pytest.mark.sqlite  # on MongoDB, two flows with a mouse are enough
VENDORS = {"mouse": "people", "keyboard": "addresses", "without script": "phones"}
CODES = {"people": "invalid_input", "addresses": "timeout", "phones": "rate_limited"}


@pytest.fixture(scope="module")
def browsers(chromium: Browser, console: Console) -> Iterator[dict[bool, BrowserContext]]:
    """A browser with script and one without, which keep our style."""
    found = {
        has_script: new_context(
            chromium, storage_state=console.cookies, java_script_enabled=has_script
        )
        for has_script in (True, False)
    }
    yield found
    for context in found.values():
        context.close()


@pytest.fixture
def hands(
    browsers: dict[bool, BrowserContext], console: Console, way: str, errors: list[str]
) -> Iterator[Hands]:
    """Hands on the front page."""
    page = new_page(browsers[way != "without script"], errors)
    visit(page, f"{console.url}/admin/")
    yield WAYS[way](page)
    page.close()
    assert errors == []


def by(*ways: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("way", [pytest.param(it, marks=SQLITE) for it in ways])


def with_a_mouse_on_both_stores_and(*others: str) -> pytest.MarkDecorator:
    marked = [pytest.param(it, marks=SQLITE) for it in others]
    return pytest.mark.parametrize("way", ["mouse", *marked])


@pytest.fixture
def vendor(way: str) -> str:
    return VENDORS[way]


@with_a_mouse_on_both_stores_and("keyboard", "without script")
def test_a_vendor_is_paused_and_resumed_and_the_trail_says_who(
    hands: Hands, console: Console, vendor: str
) -> None:
    page = hands.page
    hands.press(vendor)
    hands.press("Pause")
    hands.fill("Reason", "Their maintenance")
    hands.press("Pause")
    expect(page.locator("main")).to_contain_text("Their maintenance")
    page.goto(f"{console.url}/admin/")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=vendor, exact=True))
    expect(row.first).to_contain_text("paused")
    hands.press("Resume", row.first)
    expect(page.get_by_role("heading", name=f"Resume vendor {vendor}?")).to_be_visible()
    hands.press("Resume")
    expect(page.locator("body")).to_contain_text("resumed")
    page.goto(f"{console.url}/admin/audit/?target=vendor:{vendor}")
    expect(page.locator("main")).to_contain_text("Their maintenance")
    expect(page.locator("main")).to_contain_text("admin")


@with_a_mouse_on_both_stores_and("without script")
def test_all_failed_jobs_of_an_error_are_retried(
    hands: Hands, console: Console, vendor: str
) -> None:
    page = hands.page
    page.goto(f"{console.url}/admin/errors/?hours=24")
    row = page.get_by_role("row").filter(has_text=CODES[vendor]).filter(has_text=vendor)
    hands.press("Retry all…", row.first)
    expect(page.locator("h1")).to_contain_text("Retry")
    expect(page.locator("main")).to_contain_text("Nothing has been done yet.")
    if page.get_by_role("checkbox").count():
        page.get_by_role("checkbox").first.check()
    hands.fill("Reason", "The vendor is back")
    hands.use(page.locator("main").get_by_role("button", name="Retry", exact=False).first)
    expect(page).to_have_url(re.compile(r"/admin/bulk/[0-9a-f-]{36}/"))
    expect(page.locator("main")).to_contain_text("The vendor is back")


@by("keyboard")
def test_a_job_is_found_by_its_id(hands: Hands, console: Console) -> None:
    page, job_id = hands.page, console.rows["complete"]
    hands.write(page.get_by_role("searchbox").first, job_id)
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text(job_id)


@by("mouse", "keyboard")
def test_jobs_are_filtered_by_status_and_vendor(hands: Hands, console: Console) -> None:
    page = hands.page
    hands.press("Jobs", page.get_by_role("navigation").first)
    hands.choose("Status", "failed")
    hands.choose("Vendor", "emails")
    hands.press("Filter")
    expect(page).to_have_url(re.compile("status=failed&vendor=emails"))
    rows = page.locator("main tbody tr")
    assert rows.count() > 0
    assert all("failed" in text and "emails" in text for text in rows.all_inner_texts())


@by("mouse", "without script")
def test_a_page_of_a_failed_job_says_why_and_what_helps(hands: Hands, console: Console) -> None:
    page = hands.page
    page.goto(f"{console.url}/admin/jobs/job/{console.rows['failed']}/change/")
    expect(page.locator("main")).to_contain_text("What to do:")
    expect(page.locator("main")).to_contain_text("Hidden: input")
    hands.press("Show")
    expect(page.locator("main")).to_contain_text("Repeat by curl")
    expect(page.locator("main")).to_contain_text(f'"name": {json.dumps(MARKUP)}')


@by("mouse")
def test_a_vendor_is_tried(hands: Hands, vendor: str) -> None:
    page = hands.page
    hands.press(vendor)
    hands.press("Try it")
    hands.fill("Input (JSON)", json.dumps({"name": "Ada Brandt"}))
    hands.press("Call the vendor")
    expect(page.locator("main")).to_contain_text("Ada Brandt")


@by("mouse", "without script")
def test_the_effect_of_new_limits_is_shown_first(hands: Hands, vendor: str) -> None:
    page = hands.page
    hands.press(vendor)
    hands.press("Change limits")
    hands.fill("Rate limits", "7/s")
    hands.press("Show the effect")
    expect(page.locator("main")).to_contain_text("7")


@by("keyboard")
def test_a_failed_job_is_edited_and_retried(hands: Hands, console: Console) -> None:
    page, job_id = hands.page, console.rows["edited"]
    page.goto(f"{console.url}/admin/jobs/job/{job_id}/change/")
    hands.press("Edit and retry")
    hands.fill("Input", "{}")
    hands.press("Retry with this input")
    expect(page.get_by_role("alert")).to_contain_text("name")  # is required
    hands.fill("Input", json.dumps({"name": "Ada Brandt", "city": "Graz"}))
    hands.fill("Reason", "The name was wrong")
    hands.press("Retry with this input")
    expect(page.locator("body")).to_contain_text("queued for a new run with the edited input")
    page.goto(f"{console.url}/admin/audit/?target=job:{job_id}")
    expect(page.locator("main")).to_contain_text("The name was wrong")
    expect(page.locator("main")).not_to_contain_text("Graz")  # which is personal data


@SQLITE
def test_the_copied_command_repeats_the_request(
    open_page: Callable[[str], Page], console: Console
) -> None:
    """With nothing but the key put in, although its input has all that a shell would read."""
    page = open_page(f"/admin/jobs/job/{console.rows['complete']}/change/")
    page.locator("main").get_by_role("button", name="Show", exact=True).click()
    command = page.locator("pre", has_text="curl").first.inner_text()
    variables = {"PATH": os.environ["PATH"], "ENRICHLABS_KEY": console.key()}
    done = subprocess.run(
        ["bash", "-c", command], env=variables, capture_output=True, text=True, check=True
    )
    job = console.ask(f"/jobs/{json.loads(done.stdout)['request_id']}", key=console.key())
    assert job["name"] == MARKUP
