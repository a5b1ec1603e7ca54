"""The environment variables that a vendor needs, and whether they are set where a command runs."""

from typing import NamedTuple

from vendors import variables
from vendors.models import Vendor

WORKERS, CALLBACK_SERVER = "the workers", "the callback server"


class Needed(NamedTuple):
    """A variable, what for, and which processes read it."""

    name: str
    purpose: str
    readers: str

    @property
    def is_set(self) -> bool:
        return not variables.missing(self.name)


def credential_variable(vendor: Vendor) -> str:
    """Return the variable that holds the vendor's API key; '' if it needs none."""
    if vendor.api_key_env:
        return vendor.api_key_env
    definition = vendor.credential.definition if vendor.credential else {}
    names = definition.get("keys_env") or [definition.get("bearer_env", "")]
    return str(names[0])


def needed(vendor: Vendor) -> list[Needed]:
    """Return every variable that the vendor's settings name."""
    callback = vendor.definition.get("callback") or {}
    proxy = vendor.definition.get("proxy_env", "")
    secret = vendor.webhook_secret_env or callback.get("secret_env", "")
    found = [
        Needed(credential_variable(vendor), "the vendor's API key", WORKERS),
        Needed(secret, "the secret that proves callbacks", CALLBACK_SERVER),
        Needed(proxy, "the proxy's URL", WORKERS),
    ]
    return [each for each in found if each.name]
