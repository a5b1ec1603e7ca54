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


class Transport(HTTPAdapter):
    """Posts to vendors. It keeps connections from call to call, and nothing else."""

    MAX_POOLS = 50

    def __init__(self) -> None:
        super().__init__()
        self._pools: dict[tuple[str | None, ...], HTTPConnectionPool] = {}

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], timeout_seconds: float
    ) -> BaseHTTPResponse:
        """Return the response, its body still unread. Raises one of `failures.EXCEPTIONS`."""
        request = PreparedRequest()
        request.method, request.body, (request.url, _) = "POST", body, _prepared(url)
        request.headers = CaseInsensitiveDict({**headers, "Content-Length": str(len(body))})
        response: Any = self.send(request, stream=True, timeout=timeout_seconds)
        return cast(BaseHTTPResponse, response)

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *args: Any, **kwargs: Any
    ) -> HTTPConnectionPool:
        """Return the pool of this host. No proxies."""
        parts = _prepared(str(request.url))[1]
        host = parts.scheme, parts.netloc
        if host not in self._pools:
            if len(self._pools) >= self.MAX_POOLS:
                oldest = next(iter(self._pools))
                self._pools.pop(oldest).close()
            self._pools[host] = make_pool(parts)
        return self._pools[host]

    def request_url(self, request: PreparedRequest, proxies: Any) -> str:
        return _prepared(str(request.url))[1].request_uri

    def cert_verify(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: `connections.tls_context` verifies.

        requests would read the file of certificates for each connection here.
        """

    def build_response(self, req: PreparedRequest, resp: BaseHTTPResponse) -> BaseHTTPResponse:  # type: ignore[override]
        return resp

    def close(self) -> None:
        for pool in self._pools.values():
            pool.close()


class _ThreadLocal(threading.local):
    def __init__(self) -> None:
        self.transport = Transport()


this_thread = _ThreadLocal()


@lru_cache
def _prepared(url: str) -> tuple[str, Url]:
    """Return the URL as it is sent, and its parts. Raises what requests and urllib3 raise."""
    request = PreparedRequest()
    request.prepare_url(url, None)
    prepared = str(request.url)
    return prepared, parse_url(prepared)
