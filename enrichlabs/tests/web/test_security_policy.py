"""Every page has a policy that allows our own files and no inline script."""

import re

import pytest
from django.test import Client

from enrichlabs.web.security_policy import POLICY

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/nowhere", "/docs"])
def test_pages_have_a_policy_and_no_inline_script(client: Client, path: str) -> None:
    response = client.get(path, follow=True)
    if not response["Content-Type"].startswith("text/html"):
        pytest.skip("not a page")
    policy = response["Content-Security-Policy"]
    assert policy == POLICY
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    page = response.content.decode()
    assert not re.findall(r"<script(?![^>]*\bsrc=)", page)
    assert not re.findall(r"<style|\sstyle=|\son\w+=", page)


def test_a_response_that_is_not_html_has_no_policy(client: Client) -> None:
    assert "Content-Security-Policy" not in client.get("/healthz")


@pytest.mark.sqlite
def test_console_pages_stay_out_of_caches_and_take_only_get_and_post(client: Client) -> None:
    for path in ("/admin/login/", "/admin/nothing/"):
        assert client.get(path).headers["Cache-Control"].startswith(("no-store", "max-age=0"))
    answer = client.put("/admin/login/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert "Nothing has been done" in answer.content.decode()
