"""This process's copy of the vendors, at most half a second old while the store answers."""

import time
from collections.abc import Iterable
from threading import Lock
from typing import Any, TypeVar

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model

from vendors.base import Adapter
from vendors.models import Credential, CredentialKey, Limit, Vendor
from vendors.registry import is_built_in, make_adapter

MAX_AGE_SECONDS = 0.5
NEVER = float("-inf")
MAX_LISTED = 20
SHARED = (Credential, CredentialKey, Limit)
M = TypeVar("M", bound=Model)
FIELDS = [field.attname for field in Vendor._meta.concrete_fields]


class Catalogue:
    """A copy of all vendor rows, shared by the threads of a process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._rows: list[tuple[Any, ...]] = []
        self._shared: tuple[Any, ...] = ()  # rows of credentials, of their keys, and of limits
        self._files: dict[
            str, tuple[object, ...]
        ] = {}  # of certificates and secrets, as they were found
        self._vendors: dict[str, Vendor] = {}
        self._adapters: dict[str, tuple[object, Adapter]] = {}
        self._read_at = NEVER

    def all(self) -> dict[str, Vendor]:
        """Return the vendors by slug: the same dict until one of them, or a file that it names,
        changes.

        While the store is slow, the copy may be older than MAX_AGE_SECONDS.
        """
        if self._is_fresh():
            return self._vendors
        # One thread reads while the others use the old copy. They wait only if there is none yet.
        if self._lock.acquire(blocking=self._read_at == NEVER):
            try:
                if not self._is_fresh():
                    self._read()
            finally:
                self._lock.release()
        return self._vendors

    def get(self, slug: str) -> Vendor | None:
        return self.all().get(slug)

    def known(self, slug: str) -> Vendor | None:
        """Return the vendor as it was last read, without asking the store."""
        return self._vendors.get(slug)

    def adapter(self, vendor: Vendor) -> Adapter:
        """Return the vendor's adapter, a new one if the settings have changed.

        Raises ValueError if it can't be created.
        """
        key, adapter = self._adapters.get(vendor.slug, (None, None))
        if adapter is None or key != vendor.settings_key:
            adapter = make_adapter(vendor)
            self._adapters[vendor.slug] = (vendor.settings_key, adapter)
        return adapter

    def forget(self) -> None:
        """Have the next access read the store. Call this after writing a vendor."""
        # Under the lock: a thread that began reading before our write must not count as fresh.
        with self._lock:
            self._read_at = NEVER

    def _is_fresh(self) -> bool:
        return time.monotonic() - self._read_at <= MAX_AGE_SECONDS

    def _read(self) -> None:
        rows = list(Vendor.objects.values_list(*FIELDS))
        shared = tuple(list(kind.objects.values_list()) for kind in SHARED)
        # Nearly always nothing has changed. Keeping the objects keeps what they have cached.
        if (rows, shared) != (self._rows, self._shared):
            vendors = [Vendor.from_db(DEFAULT_DB_ALIAS, FIELDS, row) for row in rows]
            self._attach(vendors, shared)
            self._vendors = {vendor.slug: vendor for vendor in vendors}
            self._rows, self._shared = rows, shared
        # A worker checks again whether it can call the vendors when it gets another dict.
        files = {slug: seen for slug, vendor in self._vendors.items() if (seen := vendor.files)}
        if files != self._files:
            self._vendors, self._files = dict(self._vendors), files
        self._read_at = time.monotonic()

    def _attach(self, vendors: Iterable[Vendor], shared: tuple[Any, ...]) -> None:
        """Give the vendors their credentials and limits."""
        credentials = {row.slug: row for row in _rows_of(Credential, shared[0])}
        for credential in credentials.values():
            credential.states = {}
        for key in _rows_of(CredentialKey, shared[1]):
            if key.credential in credentials:
                credentials[key.credential].states[key.name] = key
        limits = {row.slug: row for row in _rows_of(Limit, shared[2])}
        for vendor in vendors:
            vendor.credential = credentials.get(str(vendor.definition.get("credential")))
            vendor.name_limits(limits)


def _rows_of(kind: type[M], rows: Iterable[tuple[Any, ...]]) -> list[M]:
    names = [field.attname for field in kind._meta.concrete_fields]
    return [kind.from_db(DEFAULT_DB_ALIAS, names, row) for row in rows]


def listed(slugs: Iterable[str]) -> str:
    """Return slugs as a sentence names them: sorted, and at most MAX_LISTED of them."""
    names = sorted(slugs)
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return (", ".join(names[:MAX_LISTED]) or "none") + more


catalogue = Catalogue()


def account_url(vendor: Vendor) -> str:
    """Return the URL of the vendor's whole account, to which it posts its callbacks; '' if each job
    has a URL of its own.
    """
    url = f"{settings.PUBLIC_URL}/vendor-webhook/{vendor.slug}"
    callback = vendor.definition.get("callback")
    if isinstance(callback, dict) and "reference" in callback:
        return url
    if is_built_in(vendor.adapter):
        return ""
    try:
        kind = type(catalogue.adapter(vendor))
    except ValueError:
        return ""
    return "" if kind.callback_reference is Adapter.callback_reference else url
