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
    assert policy.startswith(POLICY)
    assert "default-src 'self'" in policy
    assert "script-src" not in policy
    assert not re.findall(r"<script(?![^>]*\bsrc=)", response.content.decode())
    assert not re.findall(r"\son\w+=", response.content.decode())


def test_only_the_docs_may_have_inline_styles(client: Client) -> None:
    assert "unsafe-inline" not in client.get("/admin/login/")["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in client.get("/docs")["Content-Security-Policy"]


def test_the_script_of_the_docs_has_its_own_url(client: Client) -> None:
    page = client.get("/docs").content.decode()
    [address] = re.findall(r'src="(/docs[^"]*)"', page)
    script = client.get(address.replace("&amp;", "&"))
    assert script["Content-Type"] == "application/javascript"
    assert b"SwaggerUIBundle" in script.content


def test_a_response_that_is_not_html_has_no_policy(client: Client) -> None:
    assert "Content-Security-Policy" not in client.get("/healthz")
