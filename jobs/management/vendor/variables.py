"""The environment variables that a vendor needs, and whether they are set where a command runs."""

from collections.abc import Iterator
from typing import NamedTuple

from vendors import variables
from vendors.models import Vendor

WORKERS, CALLBACK_SERVER = "the workers", "the callback server"
ALL = f"{WORKERS} and {CALLBACK_SERVER}"


class Needed(NamedTuple):
    """A variable, what it holds, and which processes read it."""

    name: str
    holds: str
    readers: str

    @property
    def is_set(self) -> bool:
        return not variables.missing(self.name)


def credential_variables(vendor: Vendor) -> list[str]:
    """Return the variables that hold the vendor's API key; [] if it needs none."""
    if vendor.api_key_env:
        return [vendor.api_key_env]
    return vendor.credential.variable_names if vendor.credential else []


def needed(vendor: Vendor) -> list[Needed]:
    """Return every variable that the vendor's settings name."""
    found: dict[str, Needed] = {}
    for each in _needed(vendor):  # FullEnrich, for one, signs callbacks with the API key
        first = found.get(each.name, each)
        both = each if first == each else Needed(each.name, f"{first.holds} and {each.holds}", ALL)
        found[each.name] = both
    return list(found.values())


def _needed(vendor: Vendor) -> Iterator[Needed]:
    keys = credential_variables(vendor)
    yield from (Needed(name, "the API key", WORKERS) for name in keys)
    callback = vendor.definition.get("callback")
    secret = callback.get("secret_env") if isinstance(callback, dict) else vendor.webhook_secret_env
    if secret:
        yield Needed(str(secret), "the secret that proves callbacks", CALLBACK_SERVER)
    others = vendor.variable_names - {*keys, secret}
    yield from (Needed(name, "the address of a proxy", WORKERS) for name in sorted(others))
