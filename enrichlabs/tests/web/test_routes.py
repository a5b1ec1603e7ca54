"""Which routes a process serves."""

import re
from collections.abc import Callable

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from enrichlabs.urls import routes_of
from harness.running import get


def test_the_root_redirects_to_the_docs_and_admin_needs_no_slash(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/docs"
    assert client.get("/admin").headers["Location"] == "/admin/"


def test_the_docs_page_loads_nothing_from_another_host(client: Client) -> None:
    page = client.get("/docs").content.decode()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) > 2
    assert [client.get(address).status_code for address in addresses] == [200] * len(addresses)
    assert "https://" not in page


def test_only_the_named_groups_of_routes_are_served() -> None:
    assert [str(route.pattern) for route in routes_of(["webhooks"])] == ["vendor-webhook/"]
    message = "SERVES names apii. Choose from api, admin, webhooks, mock."
    with pytest.raises(ImproperlyConfigured, match=message):
        routes_of(["api", "apii"])


def test_only_the_console_has_sessions_users_and_messages(client: Client) -> None:
    attributes = {"session", "user", "_messages"}
    assert attributes <= vars(client.get("/admin/").wsgi_request).keys()
    for address in ("/jobs/1", "/healthz", "/admin", "/administration", "/vendor-webhook/acme/1"):
        assert not attributes & vars(client.get(address).wsgi_request).keys()


def test_every_response_forbids_sniffing_and_frames(client: Client) -> None:
    for address in ("/admin/login/", "/jobs/1", "/healthz"):
        headers = client.get(address).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"


ADDRESSES = {
    "api": ["/jobs", "/jobs/01a2036a-3737-730f-8b75-355ab24a179b", "/docs", "/schema", "/metrics"],
    "admin": ["/admin/login/", "/admin"],
    "webhooks": ["/vendor-webhook/acme/01a2036a-3737-730f-8b75-355ab24a179b"],
    "mock": ["/mock-vendors/sync", "/mock-vendors/async", "/mock-vendors/ledger"],
}
EVERYWHERE = ["/healthz", "/readyz", "/favicon.ico"]


@pytest.mark.parametrize("served", ADDRESSES)
def test_other_routes_are_not_found(serve: Callable[..., int], served: str) -> None:
    port = serve(SERVES=served)
    for group, addresses in ADDRESSES.items():
        for address in addresses:
            assert (get(port, address)[0] == 404) == (group != served), address
    assert 404 not in [get(port, address)[0] for address in EVERYWHERE]
