"""Sends requests: with a deadline, a cap on the answer, the API key, and no redirects."""

import json
import platform
import socket
import ssl
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.response import BaseHTTPResponse

from enrichlabs_client.errors import (
    ApiError,
    ConnectionFailed,
    EnrichLabsError,
    InvalidArgument,
    UnexpectedAnswer,
)
from enrichlabs_client.http.addresses import with_query
from enrichlabs_client.http.answers import error_of
from enrichlabs_client.http.bodies import BLOCK_BYTES, FileBody, FileReader
from enrichlabs_client.http.deadline import Deadline, PlainPool, TLSPool
from enrichlabs_client.http.retries import Retries
from enrichlabs_client.settings import Settings
from enrichlabs_client.version import VERSION

MAX_ANSWER_BYTES = 64 * 1024 * 1024
MAX_ERROR_BYTES = 256 * 1024
CONNECT_SECONDS = 10.0
IDLE_SECONDS = 60.0
AGENT = f"enrichlabs-client/{VERSION} Python/{platform.python_version()}"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, object] = field(default_factory=dict)
    body: bytes | FileBody | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    attempt_seconds: float = 30.0
    """How long one attempt may take."""
    repeatable: bool = True
    """Whether it may be sent again though it may have been carried out."""


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    json: Any


class Transport:
    def __init__(self, settings: Settings) -> None:
        self.url, self.key_prefix = settings.url, settings.key_prefix
        self._headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
        if settings.key:
            self._headers["Authorization"] = f"Bearer {settings.key}"
        self._pools = _pools(settings.url)
        self._was_reached = False

    def close(self) -> None:
        self._pools.clear()

    def call(self, request: Request, *, timeout: float | None) -> Answer:
        """Send it until there is an answer other than an error. Raises the last error."""
        retries = Retries(timeout, repeatable=request.repeatable)
        changed_nothing = True
        while True:
            try:
                return self._attempt(request, retries.time_left())
            except EnrichLabsError as error:
                changed_nothing = changed_nothing and _was_refused(error)
                error.changed_nothing = changed_nothing
                retries.pause(error)

    def stream(self, request: Request) -> Generator[bytes, None, None]:
        """Send it once, and yield the body in blocks as they arrive."""
        deadline = Deadline(request.attempt_seconds, IDLE_SECONDS)
        response = self._send(request, deadline)
        try:
            if response.status >= 300:
                body = _read(response, MAX_ERROR_BYTES)
                raise error_of(response.status, response.headers, body, self.url)
            while True:
                deadline.apply()
                if not (block := _next_block(response)):
                    return
                yield block
        finally:
            response.close()

    def _attempt(self, request: Request, seconds: float) -> Answer:
        seconds = min(seconds, request.attempt_seconds)
        response = self._send(request, Deadline(seconds, seconds))
        try:
            if response.status >= 300:
                body = _read(response, MAX_ERROR_BYTES)
                raise error_of(response.status, response.headers, body, self.url)
            body = _read(response, MAX_ANSWER_BYTES)
        finally:
            if not response.closed:
                response.close()  # its rest is unread, so the connection can't be used again
        return Answer(response.status, response.headers, _parsed(body))

    def _send(self, request: Request, deadline: Deadline) -> BaseHTTPResponse:
        headers = {**self._headers, **request.headers}
        body: Any = request.body
        if isinstance(body, FileBody):
            headers["Content-Length"] = str(body.size)
            body = FileReader(body)
        url = self.url + with_query(request.path, request.query)
        deadline.apply()
        try:
            response = self._pools.urlopen(
                request.method,
                url,
                body=body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=IDLE_SECONDS),
            )
        except (HTTPError, OSError) as error:
            raise _failed(error, self.url, is_first=not self._was_reached) from None
        self._was_reached = True
        if not _is_framed(response):
            response.close()
            raise ConnectionFailed("The answer was cut short.")
        return response


def _is_framed(response: BaseHTTPResponse) -> bool:
    """Whether its end can be told from a lost connection. http.client takes a head that was cut
    off for a whole one.
    """
    headers = response.headers
    return response.version < 11 or "Content-Length" in headers or "Transfer-Encoding" in headers


def _was_refused(error: EnrichLabsError) -> bool:
    """Whether nothing of the request was carried out. Of an upload, the service may have taken the
    first lines before it answers 408, 429 or 5xx.
    """
    if isinstance(error, ConnectionFailed):
        return not error.was_sent
    return isinstance(error, ApiError | InvalidArgument) and not error.is_transient


def _failed(error: Exception, url: str, *, is_first: bool) -> ConnectionFailed:
    """Return what happened. A name that was never found may be misspelt: trying again is no use."""
    unsent = isinstance(error, NewConnectionError | ConnectTimeoutError)
    host = urlsplit(url).netloc
    said = f"{host} can't be reached" if unsent else f"No answer from {host}"
    return ConnectionFailed(
        f"{said}: {_reason(error)}.",
        was_sent=not unsent,
        is_transient=not any(
            isinstance(each, ssl.SSLError) or (is_first and isinstance(each, socket.gaierror))
            for each in _causes(error)
        ),
    )


def _reason(error: BaseException) -> str:
    """Name the cause, without what an exception says about its own classes and addresses."""
    for each in reversed(_causes(error)):
        if isinstance(each, ssl.SSLCertVerificationError):
            return f"its certificate is not valid ({each.verify_message})"
        if isinstance(each, ssl.SSLError):
            return f"TLS failed ({each.reason or 'unknown reason'})"
        if isinstance(each, socket.gaierror):
            return "its name is not found"
        if isinstance(each, TimeoutError):
            return "it takes too long"
        if isinstance(each, OSError) and each.strerror:
            return each.strerror[:1].lower() + each.strerror[1:]
    return "the connection was cut"


def _causes(error: BaseException) -> list[BaseException]:
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    return causes


def _next_block(response: BaseHTTPResponse) -> bytes:
    try:
        return response.read1(BLOCK_BYTES)
    except (HTTPError, OSError) as error:
        raise ConnectionFailed(f"The answer was cut short: {_reason(error)}.") from None


def _read(response: BaseHTTPResponse, limit: int) -> bytes:
    body = bytearray()
    while block := _next_block(response):
        body += block
        if len(body) > limit:
            raise UnexpectedAnswer(f"The service's answer has more than {limit:,} bytes.")
    return bytes(body)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise UnexpectedAnswer(
            "The answer is not JSON. Check that the URL leads to EnrichLabs."
        ) from None


def _pools(url: str) -> urllib3.PoolManager:
    """Return the pools of connections, through a proxy if the environment names one."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    is_local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    manager = urllib3.PoolManager()
    if proxy and not is_local and not proxy_bypass(parts.netloc):
        manager = urllib3.ProxyManager(proxy)
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": TLSPool}
    return manager
