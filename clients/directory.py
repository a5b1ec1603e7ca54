"""This process's copy of the API keys in use, half a second old at most."""

import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address
from threading import Lock
from typing import Generic, TypeVar

from clients.keys import digest, is_well_formed, public_part
from clients.models import DEFAULT, ApiKey, Client
from clients.scopes import Scope
from vendors.limits import Window

log = logging.getLogger(__name__)
T = TypeVar("T")

# A revocation is in force everywhere within a second. The rest is for the request itself.
MAX_AGE_SECONDS = 0.5
MAX_KEYS = 10_000  # a flood of wrong keys must not fill the memory


@dataclass(frozen=True)
class Caller:
    """Who sent a request, and what it may do. REST framework has it as `request.user`."""

    client: str  # its slug
    scopes: frozenset[str]
    vendors: frozenset[str] | None = None  # that it may use; None: all
    windows: tuple[Window, ...] = ()  # the client's request limits
    key: ApiKey | None = None  # None for an anonymous request

    is_authenticated = True  # for REST framework

    def may_use(self, vendor: str) -> bool:
        return self.vendors is None or vendor in self.vendors


@dataclass(frozen=True)
class _Stored:
    """A key as the store has it, and what its client adds."""

    key: ApiKey
    networks: tuple[IPv4Network | IPv6Network, ...]
    caller: Caller | None  # None if the client is disabled


class _Fresh(Generic[T]):
    """Values that are read again when they are older than MAX_AGE_SECONDS."""

    def __init__(self, max_size: int) -> None:
        self._lock = Lock()
        self._values: OrderedDict[str, tuple[float, T]] = OrderedDict()
        self._max_size = max_size

    def get(self, name: str, read: Callable[[], T]) -> T:
        asked_at = time.monotonic()
        read_at, value = self._values.get(name, (float("-inf"), None))
        if asked_at - read_at < MAX_AGE_SECONDS:
            return value  # type: ignore[return-value]  # read, so not the default
        value = read()
        with self._lock:
            self._values[name] = (asked_at, value)  # what was true when it was asked for
            self._values.move_to_end(name)
            while len(self._values) > self._max_size:
                self._values.popitem(last=False)
        return value

    def clear(self) -> None:
        with self._lock:
            self._values.clear()


class Directory:
    """Finds out who sent a request, for all threads of a process.

    Each method raises one of the store's errors if it does not answer.
    """

    def __init__(self) -> None:
        self._keys: _Fresh[_Stored | None] = _Fresh(MAX_KEYS)
        self._anonymous: _Fresh[Caller | None] = _Fresh(1)

    def find(self, key: str, address: str, now: datetime) -> Caller | None:
        """Return who sent the API key from this address; None if the key does not authenticate
        anybody, for whatever reason.
        """
        if not is_well_formed(key):
            return None
        public = public_part(key)
        stored = self._keys.get(public, lambda: _read(public))
        if stored is None or not hmac.compare_digest(stored.key.digest, digest(key)):
            return None
        if refusal := _refusal(stored, address, now):
            # The caller is not told, but its operator must be able to find out.
            log.info("Refused API key %s: %s", stored.key, refusal)
            return None
        return stored.caller

    def anonymous(self) -> Caller | None:
        """Return the caller of requests without a key; None once there is an API key."""
        return self._anonymous.get("", _read_anonymous)

    def forget(self) -> None:
        """Read everything again. Call this after writing a client or a key."""
        self._keys.clear()
        self._anonymous.clear()


def _read(public: str) -> _Stored | None:
    key = ApiKey.objects.filter(public=public).first()
    client = Client.objects.filter(pk=key.client_id).first() if key else None
    if key is None or client is None:
        return None
    try:
        return _stored(key, client)
    except ValueError as error:  # changed by other means than ours, which validate
        log.error("API key %s of client %s can't be used: %s", key.public, client, error)
        return None


def _stored(key: ApiKey, client: Client) -> _Stored:
    caller = Caller(
        client=client.slug,
        scopes=key.granted_scopes,
        vendors=_common(client.allowed_vendors, key.allowed_vendors),
        windows=tuple(client.windows),
        key=key,
    )
    return _Stored(key, key.networks, caller if client.enabled else None)


def _read_anonymous() -> Caller | None:
    if ApiKey.objects.exists():
        return None
    client = Client.objects.filter(slug=DEFAULT).first() or Client(slug=DEFAULT)
    if not client.enabled:
        return None
    try:
        windows = tuple(client.windows)
    except ValueError as error:  # changed by other means than ours, which validate
        log.error("Requests without a key are refused: client %s: %s", client, error)
        return None
    return Caller(DEFAULT, frozenset(Scope.values), client.allowed_vendors or None, windows)


def _refusal(stored: _Stored, address: str, now: datetime) -> str:
    """Return why a key that exists is refused; empty if it is accepted."""
    if stored.key.revoked_at:
        return "it is revoked"
    if not stored.key.is_valid(now):
        return "it has expired"
    if stored.caller is None:
        return "its client is disabled"
    if not _is_within(stored.networks, address):
        return f"it may not be used from {address or 'an unknown address'}"
    return ""


def _common(of_client: frozenset[str], of_key: frozenset[str]) -> frozenset[str] | None:
    """Return the vendors that both allow; None for all."""
    if of_client and of_key:
        return of_client & of_key
    return of_client or of_key or None


def _is_within(networks: Sequence[IPv4Network | IPv6Network], address: str) -> bool:
    if not networks:
        return True
    try:
        found = ip_address(address)
    except ValueError:  # a Unix socket has no address
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in networks)


directory = Directory()
