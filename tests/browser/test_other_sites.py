"""A page of another site cannot call the API, not even where no key is asked for."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Site

JOB = '{"vendor": "sync", "name": "Mallory"}'
FETCH = """async ([url, options]) => {
    try {
        const answer = await fetch(url, options);
        return answer.type === "opaque" ? "opaque" : answer.status;
    } catch (error) {
        return "refused";
    }
}"""
FORM = """([url, enctype, name, value]) => {
    const form = document.createElement("form");
    Object.assign(form, {action: url, method: "post", enctype});
    const field = document.createElement("input");
    Object.assign(field, {name, value});
    form.append(field);
    document.body.append(form);
    form.submit();
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def evil(tmp_path: Path) -> Iterator[str]:
    """The URL of a page of another site: for a browser, localhost and 127.0.0.1 are two."""
    (tmp_path / "index.html").write_text("<!DOCTYPE html><title>Another site</title>")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def job(open_site: Site) -> str:
    """A job that could be cancelled."""
    posted = open_site.ask(
        "/jobs",
        {
            "vendor": "sync",
            "name": "Alice",
            "options": {"not_before": "2027-06-01T00:00:00Z"},
        },
    )
    return str(posted["request_id"])


def names(site: Site) -> set[str]:
    return {item["name"] for item in site.ask("/jobs?limit=100")["items"]}


@pytest.mark.parametrize(
    "options",
    [
        {"method": "POST", "body": JOB, "mode": "no-cors"},
        {"method": "POST", "body": JOB, "headers": {"Content-Type": "text/plain"}},
        {"method": "POST", "body": JOB, "headers": {"Content-Type": "application/json"}},
        {"method": "POST", "body": JOB, "credentials": "include"},
        {"method": "PUT", "body": JOB},
    ],
)
def test_fetch_posts_no_job(
    page: Page, evil: str, open_site: Site, job: str, options: dict[str, object]
) -> None:
    page.goto(evil)
    for path in ("/jobs", f"/jobs/{job}/cancel"):
        assert page.evaluate(FETCH, [open_site.url + path, options]) in ("opaque", "refused")
    assert "Mallory" not in names(open_site)
    assert open_site.ask(f"/jobs/{job}")["status"] == "queued"


@pytest.mark.parametrize("path", ["/jobs", "/vendors", "/schema", "/metrics", "/docs"])
def test_fetch_reads_nothing(page: Page, evil: str, open_site: Site, path: str) -> None:
    page.goto(evil)
    assert page.evaluate(FETCH, [open_site.url + path, {}]) == "refused"


@pytest.mark.parametrize("enctype", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_posts_no_job_and_cancels_none(
    page: Page, evil: str, open_site: Site, job: str, enctype: str
) -> None:
    name, value = JOB[:-1] + ', "x": "', '"}'  # text/plain puts = between them
    for path in ("/jobs", f"/jobs/{job}/cancel"):
        page.goto(evil)
        with page.expect_navigation() as navigation:
            page.evaluate(FORM, [open_site.url + path, enctype, name, value])
        answer = navigation.value
        assert answer
        assert (answer.status, answer.json()["code"]) == (403, "cross_site")
    assert "Mallory" not in names(open_site)
    assert open_site.ask(f"/jobs/{job}")["status"] == "queued"


def test_the_page_itself_could_reach_the_service(page: Page, open_site: Site) -> None:
    """Or the tests above would prove nothing."""
    page.goto(f"{open_site.url}/docs")
    options = {
        "method": "POST",
        "body": JOB.replace("Mallory", "Bob"),
        "headers": {"Content-Type": "application/json"},
    }
    assert page.evaluate(FETCH, [f"{open_site.url}/jobs", options]) == 202
