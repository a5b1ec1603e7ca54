"""requests without its Session (docs/decisions/0012-requests-without-its-session.md).

Half of a Session's cost goes to cookies, proxies and redirects, which a call to a vendor must not
have anyway.
"""

import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from requests.adapters import HTTPAdapter
from requests.models import PreparedRequest
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import Url, parse_url

from vendors.http.connections import make_pool
from vendors.http.outbound import Stamp, proxy_of, stamp_of
from vendors.outbound import DIRECT, Outbound

PoolKey = tuple[str | None, str | None, Outbound | None]


class _Request(PreparedRequest):
    outbound: Outbound = DIRECT


class Transport(HTTPAdapter):
    """Sends requests to vendors. It keeps connections from call to call, and nothing else."""

    MAX_POOLS = 50

    def __init__(self) -> None:
        super().__init__()
        self._pools: dict[PoolKey, tuple[Stamp, HTTPConnectionPool]] = {}

    def start(
        self,
        method: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        timeout_seconds: float,
        outbound: Outbound,
    ) -> BaseHTTPResponse:
        """Return the response, its body still unread. Raises one of `failures.EXCEPTIONS`."""
        request = _Request()
        request.method, (request.url, _) = method, _prepared(url)
        request.headers = CaseInsensitiveDict(headers)
        if body:
            request.body = body
            request.headers["Content-Length"] = str(len(body))
        if outbound is not DIRECT:
            request.outbound = outbound
        response: Any = self.send(request, stream=True, timeout=timeout_seconds)
        return cast(BaseHTTPResponse, response)

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> HTTPConnectionPool:
        """Return the pool of this host and way out; a new one if certificates have changed."""
        parts = _prepared(str(request.url))[1]
        outbound = cast(_Request, request).outbound
        is_direct = outbound is DIRECT  # whose hash and stamp would be made for each call
        key = parts.scheme, parts.netloc, None if is_direct else outbound
        stamp = () if is_direct else stamp_of(outbound)
        found = self._pools.get(key)
        if found and found[0] == stamp:
            return found[1]
        pool = make_pool(parts, outbound)
        if not found and len(self._pools) >= self.MAX_POOLS:
            found = self._pools.pop(next(iter(self._pools)))
        if found:
            found[1].close()
        self._pools[key] = stamp, pool
        return pool

    def request_url(self, request: _Request, proxies: Any) -> str:  # type: ignore[override]
        parts = _prepared(str(request.url))[1]
        if request.outbound.proxy_url and parts.scheme == "http":
            return parts._replace(auth=None, fragment=None).url
        return parts.request_uri

    def add_headers(self, request: _Request, **kwargs: Any) -> None:  # type: ignore[override]
        if request.outbound is DIRECT or not str(request.url).startswith("http:"):
            return  # a tunnel is asked for with it, before there is a request
        proxy = proxy_of(request.outbound)
        if proxy and proxy.authorization:
            request.headers["Proxy-Authorization"] = proxy.authorization

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: `outbound.tls_context` verifies.

        requests would read the file of certificates for each connection here.
        """

    def build_response(self, req: PreparedRequest, resp: BaseHTTPResponse) -> BaseHTTPResponse:  # type: ignore[override]
        return resp

    def close(self) -> None:
        for _, pool in self._pools.values():
            pool.close()


class _ThreadLocal(threading.local):
    def __init__(self) -> None:
        self.transport = Transport()


this_thread = _ThreadLocal()


def target_of(url: str) -> str:
    """Return path and query as they are sent. Raises ValueError."""
    return _prepared(url)[1].request_uri


@lru_cache
def _prepared(url: str) -> tuple[str, Url]:
    """Return the URL as it is sent, and its parts. Raises what requests and urllib3 raise."""
    request = PreparedRequest()
    request.prepare_url(url, None)
    prepared = str(request.url)
    return prepared, parse_url(prepared)
