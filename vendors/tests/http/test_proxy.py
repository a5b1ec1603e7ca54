"""Calls through an egress proxy: absolute URLs for http, tunnels for https."""

import base64
import ssl
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.vendor.server import Server, Visit, answering, reply
from vendors.base import Reply, VendorError
from vendors.http import post_json, request
from vendors.http.deadline import this_call
from vendors.http.exchanges import watched
from vendors.outbound import Outbound
from vendors.tests.http.certificates import make_certificate, server_context
from vendors.tests.http.egress_proxy import EgressProxy

BASIC = "Basic " + base64.b64encode(b"joe:p@ss:w\xc3\xb6rd").decode()
USER = "joe:p%40ss%3Aw%C3%B6rd@"


@pytest.fixture
def start() -> Iterator[Callable[..., EgressProxy]]:
    proxies: list[EgressProxy] = []

    def start(authorization: str = "") -> EgressProxy:
        proxies.append(EgressProxy(authorization))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.stop()


def through(proxy: Server, user: str = "", **files: object) -> Outbound:
    return Outbound(f"http://{user}127.0.0.1:{proxy.port}", **files)


def get(url: str, outbound: Outbound, **options: object) -> Reply:
    return request("GET", url, headers={}, **{"timeout_seconds": 5, **options}, outbound=outbound)


def message_of(url: str, outbound: Outbound, **options: object) -> str:
    with pytest.raises(VendorError) as caught:
        get(url, outbound, **options)
    error = caught.value
    assert (error.code, error.outage, error.outcome_known) == ("vendor_unreachable", True, True)
    assert "joe" not in f"{error!r}{error.__cause__!r}{outbound!r}"
    return error.message.removeprefix("The vendor could not be reached: ")


def test_a_call_over_http_is_sent_to_the_proxy_with_the_whole_url(
    start: Callable[..., EgressProxy], serve: Callable[..., Server]
) -> None:
    proxy, vendor = start(BASIC), serve(answering(reply("404 Not Found")))
    url = f"http://vendor.test:{vendor.port}/people?a=b"
    with watched() as exchanges:
        for _ in range(2):
            assert get(url, through(proxy, USER)).status == 404
    head = proxy.requests[0].decode()
    assert head.startswith(f"GET {url} HTTP/1.1\r\nHost: vendor.test:{vendor.port}\r\n")
    assert f"\r\nProxy-Authorization: {BASIC}\r\n" in head
    assert (proxy.visits, vendor.requests[0][:19]) == (1, b"GET /people?a=b HTT")
    assert not any("Proxy-Authorization" in exchange.headers for exchange in exchanges)


def test_a_call_over_https_is_sent_through_a_tunnel(
    folder: Path, start: Callable[..., EgressProxy], serve: Callable[..., Server]
) -> None:
    certificate = make_certificate(folder, "tunnelled", "DNS:vendor.test")
    proxy = start(BASIC)
    vendor = serve(answering(reply()), tls=server_context(certificate))
    url = f"https://vendor.test:{vendor.port}/x"
    outbound = through(proxy, USER, ca_file=str(certificate))
    for _ in range(2):
        assert get(url, outbound).status == 200
    target = f"vendor.test:{vendor.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}", f"Proxy-Authorization: {BASIC}"]
    assert proxy.requests == ["\r\n".join([*lines, "", ""]).encode()]
    assert vendor.requests[0].startswith(f"GET /x HTTP/1.1\r\nHost: {target}\r\n".encode())
    assert b"Proxy-Authorization" not in vendor.requests[0]
    assert (proxy.visits, vendor.visits) == (1, 1)


def test_calls_of_different_ways_out_share_no_connection(
    start: Callable[..., EgressProxy], serve: Callable[..., Server]
) -> None:
    proxy, vendor = start(), serve(answering(reply()))
    get(vendor.url, through(proxy))
    post_json(vendor.url, {}, headers={}, timeout_seconds=5)
    assert proxy.visits == 1
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_refuses_us_is_named_with_its_status(
    scheme: str, start: Callable[..., EgressProxy], serve: Callable[..., Server]
) -> None:
    proxy, vendor = start(BASIC), serve(answering(reply()))
    assert message_of(f"{scheme}://vendor.test:{vendor.port}/", through(proxy, "joe:wrong@")) == (
        "its egress proxy refused to connect (status 407); "
        "check the user name and password in its URL."
    )
    assert vendor.visits == 0


def talk_nonsense(visit: Visit) -> None:
    visit.read_request()
    visit.send(b"SSH-2.0-OpenSSH\r\n")


@pytest.mark.parametrize(
    ("talk", "message"),
    [
        (
            answering(reply("403 Forbidden")),
            "its egress proxy refused to connect (status 403); "
            "check whether it allows and reaches the vendor's host.",
        ),
        (Visit.hang, "its egress proxy did not connect to it in time."),
        (
            lambda visit: visit.drip(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000),
            "its egress proxy did not connect to it in time.",
        ),
        (talk_nonsense, "its egress proxy gave no valid answer; check its URL."),
        (Visit.read_request, "its egress proxy gave no valid answer; check its URL."),
    ],
    ids=["refuses", "hangs", "drips", "is none", "hangs up"],
)
def test_a_tunnel_that_does_not_open_is_explained(
    talk: object, message: str, serve: Callable[..., Server]
) -> None:
    url, outbound = "https://vendor.test/", through(serve(talk), USER)
    assert message_of(url, outbound, timeout_seconds=0.3) == message


def test_a_proxy_that_does_not_run_is_named() -> None:
    outbound = Outbound(f"http://{USER}127.0.0.1:{free_port()}")
    for url in ("http://vendor.test/", "https://vendor.test/"):
        assert message_of(url, outbound) == (
            "its egress proxy refused the connection; check that it runs, and its URL."
        )


@pytest.mark.parametrize(
    "url",
    [
        "proxy.test:3128",
        "https://joe:secret@proxy.test",
        "socks5://proxy.test",
        "http://",
        "http://a:x",
        "http://proxy.test/path",
    ],
)
def test_a_url_that_is_no_proxys_is_refused_without_repeating_it(url: str) -> None:
    message = message_of("http://vendor.test/", Outbound(url))
    assert message.startswith("the URL of its egress proxy is not valid; it must be like http://")
    assert "proxy.test" not in message
    assert "secret" not in message


def test_the_permit_is_confirmed_when_the_tunnel_is_open(
    certificate: Path,
    context: ssl.SSLContext,
    start: Callable[..., EgressProxy],
    serve: Callable[..., Server],
) -> None:
    proxy, vendor = start(), serve(answering(reply()), tls=context)
    seen: list[tuple[int, int]] = []
    with this_call.permitted_by(lambda: seen.append((len(proxy.requests), len(vendor.requests)))):
        assert get(vendor.url, through(proxy, ca_file=str(certificate))).status == 200
    assert seen == [(1, 0)]


def test_the_vendors_address_is_checked_and_the_proxys_is_allowed(
    start: Callable[..., EgressProxy], serve: Callable[..., Server], settings: object
) -> None:
    proxy, vendor = start(), serve(answering(reply()))
    settings.PUBLIC_URL = "https://gateway.example"
    assert "link-local" in message_of("http://169.254.169.254/", through(proxy))
    assert "link-local" in message_of("https://2852039166/", through(proxy))
    assert "this machine itself" in message_of(f"http://127.1:{vendor.port}/", through(proxy))
    assert proxy.visits == 0
    assert get(f"http://vendor.test:{vendor.port}/", through(proxy)).status == 200
    settings.VENDOR_ALLOWED_ADDRESSES = [ip_network("127.0.0.0/8")]
    assert get(f"http://127.0.0.1:{vendor.port}/", through(proxy)).status == 200
