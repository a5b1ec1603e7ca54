"""Tokens that a vendor issues in return for our credentials: how one is asked for.

The request is made as calls are: with one deadline, at most so many bytes, and no redirects.
Nothing that the answer says is kept or shown, because it may be the token.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from vendors import variables
from vendors.base import Outcome, Reply, VendorError
from vendors.definitions.reading import body_of, scope_of_reply
from vendors.definitions.request import Request
from vendors.http import statuses, waits
from vendors.http.call import request as send
from vendors.outbound import Outbound

REQUEST_TIMEOUT_SECONDS = 10.0
MIN_LIFE_SECONDS, MAX_LIFE_SECONDS = 1.0, 30 * 86400.0
MAX_LENGTH = 8192
ADDRESS = re.compile(r"https?://[^/?#\s\\{}@]+(?:[/?][^#\s\\]*)?")
ERROR_CODE = re.compile(r"[a-z_]{1,40}")  # as OAuth2's invalid_client
OF_TRANSPORT = {
    "timeout": f"it did not answer in full within {REQUEST_TIMEOUT_SECONDS:g} s",
    "connection_lost": "the connection was lost before its answer was complete",
    "bad_reply": "its answer is too long or not valid HTTP",
}


class NoTokenIssuedError(VendorError):
    """The token server refuses us, so that an operator must see to it. The vendor was not asked."""


@dataclass(frozen=True)
class Issued:
    """A token, and for how long it can be used from the moment of the request."""

    value: str = field(repr=False)
    life_seconds: float


class Grant(Protocol):
    """A way to get tokens."""

    @property
    def url(self) -> str: ...
    @property
    def url_key(self) -> str:
        """The key of the definition that names the URL."""
        ...

    @property
    def key(self) -> str:
        """The variable by whose name the credential's only key is known."""
        ...

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that prove who we are."""
        ...

    @property
    def identity(self) -> str:
        """What its tokens depend on, secrets included. Never show it."""
        ...

    @property
    def spellings(self) -> Iterator[str]:
        """Other forms in which a request for a token shows our secrets."""
        ...

    def request(self) -> Request: ...
    def read(self, scope: Mapping[str, Any]) -> Issued | None:
        """Return the token in an answer; None if there is none."""
        ...


def ask(grant: Grant, outbound: Outbound) -> Issued:
    """Return a new token. Raises VendorError, always with the outcome known: the vendor was not
    called yet.
    """
    for name in grant.variables:
        if fault := variables.missing(name):
            raise VendorError("api_key_missing", fault)
    reply = _reply(grant, outbound)
    if not 200 <= reply.status <= 299:
        raise _refusal(grant, reply)
    body, _ = body_of(reply)
    if issued := grant.read(scope_of_reply(reply, body)):
        return issued
    why = f"its answer (status {reply.status}) has no token that can be used"
    raise _denied(grant, why) if isinstance(body, dict) else _astray(why)


def issued(value: object, life: float | None, default_seconds: float) -> Issued | None:
    """Return a token that can be sent; None if it can't."""
    value = value.strip() if isinstance(value, str) else ""
    if not (value and value.isascii() and value.isprintable()) or len(value) > MAX_LENGTH:
        return None
    # Some write 0 or -1 for a token that does not expire.
    seconds = life if life and life > 0 else default_seconds
    return Issued(value, min(max(seconds, MIN_LIFE_SECONDS), MAX_LIFE_SECONDS))


def values(names: Mapping[str, str]) -> dict[str, str]:
    """Return what the variables hold, each by the name of its field."""
    return {field: value(name) for field, name in names.items()}


def value(name: str) -> str:
    # One read from a file ends with a line break.
    return variables.value(name).strip()


def _reply(grant: Grant, outbound: Outbound) -> Reply:
    request = grant.request()
    if request.header("Accept") is None:
        request = replace(request, headers={**request.headers, "Accept": "application/json"})
    url, headers, body = request.encoded()
    try:
        return send(
            request.method,
            url,
            headers=headers,
            body=body,
            timeout_seconds=REQUEST_TIMEOUT_SECONDS,
            outbound=outbound,
        )
    except VendorError as error:
        raise _unreachable(error) from None


def _unreachable(error: VendorError) -> VendorError:
    known = OF_TRANSPORT.get(error.code)
    said = error.message.removeprefix("The vendor could not be reached: ").removesuffix(".")
    reason = known or f"it could not be reached: {said}"
    code = Outcome.TIMEOUT if error.code == "timeout" else "vendor_unreachable"
    return VendorError(code, f"The token server issued no token: {reason}.", outage=True)


def _refusal(grant: Grant, reply: Reply) -> VendorError:
    now = datetime.now(UTC)
    wait = waits.retry_after(reply.headers, now)
    outcome = statuses.outcome_of(reply.status, has_retry_after=wait is not None)
    if outcome in (Outcome.RATE_LIMITED, Outcome.VENDOR_ERROR):
        is_limited = outcome == Outcome.RATE_LIMITED
        reason = "is rate limiting us" if is_limited else "answered with an error"
        return VendorError(
            outcome,
            f"The token server {reason} (status {reply.status}).",
            outage=not is_limited,
            retry_after=waits.wait_of(reply.headers, now) if is_limited else None,
        )
    if 300 <= reply.status <= 399:
        return _astray(f"it answered with a redirect (status {reply.status})")
    body, _ = body_of(reply)
    code = body.get("error") if isinstance(body, dict) else None
    named = f", {code}" if isinstance(code, str) and ERROR_CODE.fullmatch(code) else ""
    return _denied(grant, f"it refused our credentials (status {reply.status}{named})")


def _astray(why: str) -> VendorError:
    """The answer is a page, as during maintenance, so it says nothing about our credentials."""
    sentence = f"The token server issued no token: {why}. It may be away. Else check its URL."
    return VendorError(Outcome.VENDOR_ERROR, sentence, outage=True)


def _denied(grant: Grant, why: str) -> VendorError:
    """An error that an operator must see to."""
    names = " and ".join(grant.variables)
    sentence = f"The token server issued no token: {why}. Check its URL and {names}."
    return NoTokenIssuedError(Outcome.AUTH, sentence)
