"""Which addresses a process answers at."""

import re
from collections.abc import Callable

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from enrichlabs.urls import open_doors
from harness.running import get


def test_the_root_leads_to_the_docs_and_admin_needs_no_slash(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/docs"
    assert client.get("/admin").headers["Location"] == "/admin/"


def test_the_docs_page_needs_no_other_host(client: Client) -> None:
    page = client.get("/docs").content.decode()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) > 2
    assert [client.get(address).status_code for address in addresses] == [200] * len(addresses)
    assert "https://" not in page


def test_a_process_opens_the_doors_that_are_named_and_no_other() -> None:
    assert [str(route.pattern) for route in open_doors(["webhooks"])] == ["vendor-webhook/"]
    with pytest.raises(
        ImproperlyConfigured,
        match="SERVES names apii, but there is only api, admin, webhooks, mock.",
    ):
        open_doors(["api", "apii"])


def test_sessions_users_and_messages_are_for_the_admin_alone(client: Client) -> None:
    burdens = {"session", "user", "_messages"}
    assert burdens <= vars(client.get("/admin/").wsgi_request).keys()
    for address in ("/jobs/1", "/healthz", "/admin", "/administration", "/vendor-webhook/acme/1"):
        assert not burdens & vars(client.get(address).wsgi_request).keys()


def test_every_address_is_guarded_against_sniffing_frames_and_other_hosts(client: Client) -> None:
    for address in ("/admin/login/", "/jobs/1", "/healthz"):
        headers = client.get(address).headers
        assert (headers["X-Content-Type-Options"], headers["X-Frame-Options"]) == (
            "nosniff",
            "DENY",
        )


ADDRESSES = {
    "api": ["/jobs", "/jobs/01a2036a-3737-730f-8b75-355ab24a179b", "/docs", "/schema", "/metrics"],
    "admin": ["/admin/login/", "/admin"],
    "webhooks": ["/vendor-webhook/acme/01a2036a-3737-730f-8b75-355ab24a179b"],
    "mock": ["/mock-vendors/sync", "/mock-vendors/async", "/mock-vendors/ledger"],
}
EVERYWHERE = ["/healthz", "/readyz", "/favicon.ico"]


@pytest.mark.parametrize("open_door", ADDRESSES)
def test_behind_a_door_nothing_else_is_reached(serve: Callable[..., int], open_door: str) -> None:
    port = serve(SERVES=open_door)
    for door, addresses in ADDRESSES.items():
        for address in addresses:
            assert (get(port, address)[0] == 404) == (door != open_door), address
    assert 404 not in [get(port, address)[0] for address in EVERYWHERE]
