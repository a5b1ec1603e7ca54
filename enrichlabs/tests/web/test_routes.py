"""Which routes a process serves."""

import json
import re
from collections.abc import Callable

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from clients.directory import Caller
from enrichlabs.urls import routes_of
from harness.running import get


def test_the_root_redirects_to_the_docs_and_admin_needs_no_slash(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/docs"
    assert client.get("/admin").headers["Location"] == "/admin/"


@pytest.mark.django_db
def test_the_docs_page_loads_nothing_from_another_host(client: Client) -> None:
    page = client.get("/docs").content.decode()
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(addresses) > 2
    assert [client.get(address).status_code for address in addresses] == [200] * len(addresses)
    assert "https://" not in page


def test_static_files_are_served(serve: Callable[..., int]) -> None:
    port = serve(SERVES="api")
    for path in ("admin/css/base.css", "enrichlabs/docs/docs.js", "enrichlabs/docs/select.svg"):
        assert get(port, f"/static/{path}")[0] == 200, path


def test_only_the_named_groups_of_routes_are_served() -> None:
    assert [str(route.pattern) for route in routes_of(["webhooks"])] == ["vendor-webhook/"]
    message = "SERVES names apii. Choose from metrics, api, admin, webhooks, mock."
    with pytest.raises(ImproperlyConfigured, match=message):
        routes_of(["api", "apii"])


@pytest.mark.django_db
def test_only_the_console_has_sessions_users_and_messages(client: Client) -> None:
    attributes = {"session", "user", "_messages"}
    assert attributes <= vars(client.get("/admin/").wsgi_request).keys()
    of_api = vars(client.get("/jobs/1").wsgi_request)
    assert isinstance(of_api.pop("user"), Caller)
    assert not attributes & of_api.keys()
    for address in ("/healthz", "/admin", "/administration", "/vendor-webhook/acme/1"):
        assert not attributes & vars(client.get(address).wsgi_request).keys()


@pytest.mark.django_db
def test_every_response_forbids_sniffing_and_frames(client: Client) -> None:
    for address in ("/admin/login/", "/jobs/1", "/healthz"):
        headers = client.get(address).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"


JOB = "/jobs/01a2036a-3737-730f-8b75-355ab24a179b"
# Without an API key: the status of each address, in a process that serves this group and no other.
STATUSES = {
    "api": {
        **dict.fromkeys(["/jobs", JOB, f"{JOB}/cancel", "/batches", "/vendors", "/metrics"], 401),
        **{"/docs": 200, "/schema": 200, "/": 302},
    },
    "admin": {"/admin/login/": 200, "/admin/": 302, "/admin": 302},
    "webhooks": {f"/vendor-webhook/acme{JOB[5:]}": 405},
    "metrics": {"/metrics": 200},  # also without Redis
    "mock": dict.fromkeys(["/mock-vendors/sync", "/mock-vendors/async", "/mock-vendors/ledger"]),
}
EVERYWHERE = ["/healthz", "/readyz", "/favicon.ico"]


@pytest.mark.parametrize("served", STATUSES)
def test_a_process_serves_its_groups_of_routes_and_no_other(
    serve: Callable[..., int], served: str
) -> None:
    port = serve(SERVES=served, ALLOW_ANONYMOUS=0)
    for address in {address for addresses in STATUSES.values() for address in addresses}:
        found = get(port, address)[0]
        if address in STATUSES[served]:
            assert found == (STATUSES[served][address] or found) != 404, address
        else:
            assert found == 404, address
    assert 404 not in [get(port, address)[0] for address in EVERYWHERE]


def test_a_scraper_needs_no_key_where_metrics_are_served_with_the_api(
    serve: Callable[..., int],
) -> None:
    port = serve(SERVES="api,metrics", ALLOW_ANONYMOUS=0)
    assert (get(port, "/metrics")[0], get(port, "/jobs")[0]) == (200, 401)


def test_the_docs_can_be_switched_off(serve: Callable[..., int]) -> None:
    port = serve(API_DOCS=0)
    assert [get(port, address)[0] for address in ("/", "/docs", "/schema")] == [404] * 3
    assert get(port, "/jobs")[0] == 200


def test_readyz_names_nothing_but_what_is_missing(serve: Callable[..., int]) -> None:
    said = json.loads(get(serve(ALLOW_ANONYMOUS=0), "/readyz")[1])
    assert said.keys() == {"store", "redis", "worker"}
