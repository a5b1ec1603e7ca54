"""Slows down the guessing of passwords: failures are counted in the store, by account and by where
they come from.

That is an address; or a browser that has logged in to the account before (users.browsers), which
has a count of its own, so that no stranger can keep its owner out; or "", where all have the
address of a proxy.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from threading import Lock
from typing import Any

from django.utils import timezone
from django.utils.crypto import salted_hmac

from users.models import FailedLogin


@dataclass(frozen=True)
class Limit:
    """So many failures with the same values in these columns, within a time."""

    columns: tuple[str, ...]
    failures: int
    within: timedelta


BOTH = Limit(("account", "address"), 5, timedelta(minutes=15))
# Many names from one address, which a whole office may share.
ADDRESS = Limit(("address",), 100, timedelta(minutes=15))
# One name from many addresses. It keeps the owner out as well, so it has room.
ACCOUNT = Limit(("account",), 100, timedelta(hours=1))
MAX_AGE = max(limit.within for limit in (BOTH, ADDRESS, ACCOUNT))
BROWSER = "browser:"  # begins what counts as the address of a browser
NO_ADDRESSES = (
    " Failures from anywhere count, since TRUSTED_PROXIES does not name the proxy in front."
)

_counting = Lock()


class Refused(Exception):  # noqa: N818 - what happened, as in PermissionDenied
    """The password was not checked. The sentence says why, `seconds` when to retry."""

    def __init__(self, wait: timedelta, source: str) -> None:
        minutes = math.ceil(wait / timedelta(minutes=1))
        why = "" if source else NO_ADDRESSES
        super().__init__(f"Too many wrong passwords. Retry in {minutes} min.{why}")
        self.seconds = math.ceil(wait.total_seconds())


def account_of(name: str) -> str:
    """Return the digest by which the store knows the name that was typed."""
    return salted_hmac("users.throttle", name.casefold(), algorithm="sha256").hexdigest()[:32]


def network_of(address: str) -> str:
    """Return what counts as one address: of IPv6, the network that a customer is given."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


def enter(account: str, source: str) -> None:
    """Count a failure before the password is checked, so that guesses at the same time are all
    counted. Raises Refused.
    """
    with _counting:
        now = timezone.now()
        if wait := max(_wait(limit, account, source, now) for limit in _limits(source)):
            raise Refused(wait, source)
        FailedLogin.objects.filter(at__lte=now - MAX_AGE).delete()
        FailedLogin(account=account, address=source, at=now).save(force_insert=True)


def _limits(source: str) -> tuple[Limit, ...]:
    if source.startswith(BROWSER):
        return (BOTH,)
    return (BOTH, ADDRESS, ACCOUNT) if source else (ACCOUNT,)


def _wait(limit: Limit, account: str, source: str, now: datetime) -> timedelta:
    values, since = {"account": account, "address": source}, now - limit.within
    same = {name: values[name] for name in limit.columns}
    found: Any = FailedLogin.objects.filter(**same, at__gt=since).order_by("-at")
    newest = list(found.values_list("at", flat=True)[: limit.failures])
    return newest[-1] - since if len(newest) == limit.failures else timedelta()


def forgive(account: str, source: str) -> None:
    """Forget the failures of the account from there, once the password was right."""
    FailedLogin.objects.filter(account=account, address=source).delete()


def forgive_all(**where: str) -> int:
    """Forget the failures of an account or an address, and return how many there were."""
    return FailedLogin.objects.filter(**where).delete()[0]
