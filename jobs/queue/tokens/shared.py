"""The current token of a credential, which serves all workers (docs/decisions/0036-tokens.md).

A token is kept in Redis alone, encrypted, for as long as it lives. Whoever finds none, or one that
has lived for 80 % of its life, asks the vendor for the next, under a lease: the others wait, or go
on with the old one.
"""

import json
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Lock
from typing import Any

from jobs.queue import keys
from jobs.queue.redis import commands, script
from jobs.queue.stream import hints_may_fail
from jobs.queue.tokens import sealing
from vendors.base import VendorError
from vendors.credentials.grants import REQUEST_TIMEOUT_SECONDS, Grant, Issued, ask
from vendors.models import Vendor, new_id

# Longer than any request for a token takes. If its holder dies, another may ask after that.
LEASE_SECONDS = REQUEST_TIMEOUT_SECONDS + 5
WAIT_SECONDS = REQUEST_TIMEOUT_SECONDS + 2
LOOK_INTERVAL_SECONDS = 0.02
# Those who wait when a request fails share the failure, instead of asking one after the other.
FAILURE_SECONDS = 1.0
MAX_FAILURE_SECONDS = 60.0
# A vendor that refuses a token of this age refuses our credentials.
FRESH_SECONDS = 10.0

# Of the threads of a process that wait for the same token, one looks for it.
_waiting: defaultdict[str, Lock] = defaultdict(Lock)


class NoTokenError(Exception):
    """Somebody else is asking for a token, and it did not come in time."""


@dataclass(frozen=True)
class Token:
    """`sealed` is its form in Redis; '' if it is not kept there. `age_seconds`: when it was read,
    or issued.
    """

    value: str = field(repr=False)
    sealed: str
    age_seconds: float
    life_seconds: float

    @property
    def is_fresh(self) -> bool:
        """Whether it must be valid, unless the credentials are not. One with a short life may have
        ended meanwhile.
        """
        return self.age_seconds < min(FRESH_SECONDS, self.life_seconds / 2)


def current(vendor: Vendor, grant: Grant) -> Token:
    """Return the current token of the vendor's credential. Blocks while one is asked for.

    Raises VendorError if the vendor issues none, NoTokenError and redis.RedisError.
    """
    return _Tokens(vendor, grant).current()


def kept_token(vendor: Vendor) -> str:
    """Return the token that Redis has for the vendor's credential now; '' if there is none, or
    Redis does not answer. Nobody is asked for one.
    """
    grant, found = vendor.credential.grant if vendor.credential else None, [""]
    if grant is None:
        return ""
    with suppress(VendorError):  # its calls can't leave
        key = _Tokens(vendor, grant).keys[0]
        hints_may_fail.give(lambda client: found.append(client.hget(key, "sealed") or ""))
    return sealing.unseal(found[-1]) if found[-1] else ""


def drop(vendor: Vendor, grant: Grant, token: Token) -> None:
    """Forget a token that the vendor has refused, unless there is a newer one already. Raises
    redis.RedisError.
    """
    _drop(_Tokens(vendor, grant).keys, token.sealed)


def _drop(names: list[str], sealed: str) -> None:
    script("token_drop")(keys=names[:1], args=[sealed], client=commands())


class _Tokens:
    """The tokens of one credential, with what it says now: with another secret, others serve."""

    def __init__(self, vendor: Vendor, grant: Grant) -> None:
        self._grant, self._outbound = grant, vendor.outbound
        slug = str(vendor.definition.get("credential"))
        self.keys = keys.token_keys(slug, sealing.digest(grant.identity))
        self._lease = new_id()

    def current(self) -> Token:
        give_up_at = time.monotonic() + WAIT_SECONDS
        while True:
            token, to_do = self._read()
            if to_do == "ask":
                return self._ask(token)
            if token:
                return token
            if to_do != "wait":
                raise _failure(json.loads(to_do))
            self._wait(give_up_at)

    def _read(self) -> tuple[Token | None, str]:
        """Return the token, if there is one, and what to do (jobs/queue/lua/token.lua)."""
        args = [self._lease, round(LEASE_SECONDS * 1000)]
        sealed, life, left, to_do = script("token")(keys=self.keys, args=args, client=commands())
        value = sealing.unseal(sealed) if sealed else ""
        if not value:
            if sealed:  # a spoilt one, which would stay until the end of its life
                _drop(self.keys, sealed)
            return None, "wait" if to_do == "use" else to_do
        return Token(value, sealed, (life - left) / 1000, life / 1000), to_do

    def _ask(self, old: Token | None) -> Token:
        """Ask for a token, and keep it. If there is none, the old one still serves."""
        asked_at = time.monotonic()
        try:
            issued = ask(self._grant, self._outbound)
        except VendorError as error:
            self._end_failed(error)
            if old:
                return old
            raise
        return self._keep(issued, time.monotonic() - asked_at)

    def _keep(self, issued: Issued, seconds: float) -> Token:
        sealed = sealing.seal(issued.value)
        left = max(issued.life_seconds - seconds, 0.001)
        self._end(sealed, issued.life_seconds, left)
        return Token(issued.value, sealed, seconds, issued.life_seconds)

    def _end_failed(self, error: VendorError) -> None:
        wait = error.retry_after.total_seconds() if error.retry_after else 0.0
        failure = {
            "code": error.code,
            "message": error.message,
            "outage": error.outage,
            "retry_after": wait,
        }
        kept = min(max(wait, FAILURE_SECONDS), MAX_FAILURE_SECONDS)
        self._end("", 0, 0, json.dumps(failure), kept)

    def _end(
        self, sealed: str, life: float, left: float, failure: str = "", kept: float = 0
    ) -> None:
        milliseconds = [round(seconds * 1000) for seconds in (life, left, kept)]
        args = [self._lease, sealed, *milliseconds[:2], failure, milliseconds[2]]
        script("token_end")(keys=self.keys, args=args, client=commands())

    def _wait(self, give_up_at: float) -> None:
        """Return when it is time to look again. Raises NoTokenError if it is too late."""
        turn = _waiting[self.keys[0]]
        if not turn.acquire(timeout=max(give_up_at - time.monotonic(), 0)):
            raise NoTokenError
        try:
            while commands().exists(self.keys[1]):  # the lease of whoever asks
                if time.monotonic() > give_up_at:
                    raise NoTokenError
                time.sleep(LOOK_INTERVAL_SECONDS)
        finally:
            turn.release()


def _failure(kept: dict[str, Any]) -> VendorError:
    wait = timedelta(seconds=kept["retry_after"]) if kept["retry_after"] else None
    return VendorError(kept["code"], kept["message"], outage=kept["outage"], retry_after=wait)
