"""A viewer sees no button that is not hers to press, and a request by hand is refused."""

import os
import re
from collections.abc import Callable, Iterator

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.console.conftest import Console, signed_in, signed_in_context

ACTS = ("Pause", "Resume", "Retry", "Cancel", "Edit and retry", "Try it", "Change limits", "Drain")
ACTS += ("Stop", "Show", "Close breaker", "Retry all…", "Retry all that match…", "Add vendor")
POST = """async ([url, token]) => (await fetch(url, {
    method: "POST", headers: {"X-CSRFToken": token}})).status"""

# The tests' MongoDB lacks the $project that Django reads permissions with.
pytestmark = pytest.mark.skipif(
    "mongodb" in os.environ.get("DATABASE_URL", ""), reason="permissions of users"
)


@pytest.fixture(scope="module")
def context(chromium: Browser, console: Console) -> Iterator[BrowserContext]:
    """A browser in which the viewer is signed in."""
    yield from signed_in_context(chromium, console, signed_in(chromium, console, "victor"))


@pytest.mark.parametrize("place", ["index", "vendor", "failed", "errors"])
def test_a_viewer_is_shown_no_acts(
    open_page: Callable[[str], Page], console: Console, place: str
) -> None:
    page = open_page(path_of(console, place))
    main = page.locator("main")
    for role in ("button", "link"):
        expect(main.get_by_role(role, name=re.compile(f"^({'|'.join(ACTS)})$"))).to_have_count(0)


def path_of(console: Console, place: str) -> str:
    rows = console.rows
    return {
        "index": reverse("admin:index"),
        "vendor": reverse("admin:vendors_vendor_change", args=[rows["vendor"]]),
        "failed": reverse("admin:jobs_job_change", args=[rows["failed"]]),
        "errors": reverse("admin:errors"),
    }[place]


def test_a_request_by_hand_is_refused_and_names_the_permission(
    open_page: Callable[[str], Page], console: Console
) -> None:
    page = open_page("/admin/")
    tokens = [each["value"] for each in page.context.cookies() if each["name"] == "csrftoken"]
    url = console.url + reverse("admin:vendor_resume", args=["vat"])
    assert page.evaluate(POST, [url, tokens[0] if tokens else ""]) == 403
    page.goto(console.url + reverse("admin:vendor_pause", args=["people"]))
    expect(page.locator("body")).to_contain_text("operator")  # who may
