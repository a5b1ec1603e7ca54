"""Slows down the guessing of passwords: failed logins are counted in the store, by account and
address.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from django.utils.crypto import salted_hmac

from users.models import FailedLogin


@dataclass(frozen=True)
class Limit:
    """So many failures with the same values in these columns, within a time."""

    columns: tuple[str, ...]
    failures: int
    within: timedelta


LIMITS = (
    Limit(("account", "address"), 5, timedelta(minutes=15)),
    # Many names from one address. A whole office, or a proxy that isn't trusted, may share it.
    Limit(("address",), 100, timedelta(minutes=15)),
    # One name from many addresses. It keeps the owner out as well, so it has room.
    Limit(("account",), 100, timedelta(hours=1)),
)
MAX_AGE = max(limit.within for limit in LIMITS)


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


def wait(account: str, address: str, now: datetime) -> timedelta:
    """Return until when logins to the account from the address are refused; 0 if they are not."""
    values = {"account": account, "address": address}
    waits = [_wait(limit, {name: values[name] for name in limit.columns}, now) for limit in LIMITS]
    return max(waits)


def _wait(limit: Limit, values: dict[str, str], now: datetime) -> timedelta:
    since = now - limit.within
    found: Any = FailedLogin.objects.filter(**values, at__gt=since).order_by("-at")
    newest = list(found.values_list("at", flat=True)[: limit.failures])
    return newest[-1] - since if len(newest) == limit.failures else timedelta()


def count(account: str, address: str, now: datetime) -> None:
    """Count a login as failed. This comes before its password is checked, so that guesses at the
    same time are all counted.
    """
    FailedLogin.objects.filter(at__lte=now - MAX_AGE).delete()
    FailedLogin(account=account, address=address, at=now).save(force_insert=True)


def forgive(account: str, address: str) -> None:
    """Forget the failures of the account from the address, after a login."""
    FailedLogin.objects.filter(account=account, address=address).delete()


def forgive_all(account: str) -> int:
    """Forget the failures of the account from anywhere, and return how many there were."""
    return FailedLogin.objects.filter(account=account).delete()[0]
