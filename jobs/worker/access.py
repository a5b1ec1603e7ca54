"""What a call shows the vendor: a key of its credential, or the token that it has issued."""

from collections.abc import Callable
from contextlib import suppress

import redis

from jobs.queue import tokens
from jobs.queue.tokens import NoTokenError, Token
from jobs.retry import TOKEN_REFUSED
from vendors.base import Accepted, Access, Done, Outcome, VendorError
from vendors.credentials.grants import Grant
from vendors.models import Vendor

Answer = Done | Accepted | VendorError
REFUSED = "The vendor refused its token, which is {age} old. The next call gets a new one."


def with_access(vendor: Vendor, key: str, ask: Callable[[Access], Answer | None]) -> Answer | None:
    """Return what `ask` returns, or the error of the vendor if it issues no token. None: there was
    no call, because a token did not come in time or Redis is away.
    """
    grant = vendor.credential.grant if vendor.credential else None
    if grant is None:
        return ask(Access(key))
    try:
        token = tokens.current(vendor, grant)
    except VendorError as error:
        return error
    except (NoTokenError, redis.RedisError):
        return None
    answer = ask(Access(key, token.value))
    if isinstance(answer, VendorError) and answer.code == Outcome.AUTH and not token.is_fresh:
        return _refused(vendor, grant, token, answer)
    return answer


def _refused(vendor: Vendor, grant: Grant, token: Token, error: VendorError) -> VendorError:
    """Drop an old token that the vendor refuses. Only of a fresh one, that speaks against our
    credentials.
    """
    with suppress(redis.RedisError):
        tokens.drop(vendor, grant, token)
    return VendorError(
        TOKEN_REFUSED,
        REFUSED.format(age=f"{token.age_seconds:.0f} s"),
        cost=error.cost,
        reply=error.reply,
    )
