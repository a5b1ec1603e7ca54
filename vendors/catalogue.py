"""The vendors as this process knows them: read again from the store when the copy is half a second
old.
"""

import time
from collections.abc import Iterable
from threading import Lock
from typing import Any

from django.db import DEFAULT_DB_ALIAS

from vendors.base import Adapter
from vendors.models import Vendor
from vendors.registry import make

FRESH_SECONDS = 0.5
NEVER = float("-inf")
MAX_LISTED = 20
FIELDS = [field.attname for field in Vendor._meta.concrete_fields]


class Catalogue:
    """A copy of all vendor rows, shared by the threads of a process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._rows: list[tuple[Any, ...]] = []
        self._vendors: dict[str, Vendor] = {}
        self._adapters: dict[str, tuple[object, Adapter]] = {}
        self._read_at = NEVER

    def all(self) -> dict[str, Vendor]:
        """Return the vendors by slug, half a second old or, while the store is slow, older.

        It is the same dict until one of them has changed.
        """
        if time.monotonic() - self._read_at <= FRESH_SECONDS:
            return self._vendors
        # One thread asks; the others need not wait for it, unless there is nothing that they may go
        # by.
        if self._lock.acquire(blocking=self._read_at == NEVER):
            try:
                self._read()
            finally:
                self._lock.release()
        return self._vendors

    def _read(self) -> None:
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            rows = list(Vendor.objects.values_list(*FIELDS))
            if (
                rows != self._rows
            ):  # it is the same nearly every time, and then all that was made of it stays
                vendors = [Vendor.from_db(DEFAULT_DB_ALIAS, FIELDS, row) for row in rows]
                self._vendors, self._rows = {vendor.slug: vendor for vendor in vendors}, rows
            self._read_at = time.monotonic()

    def get(self, slug: str) -> Vendor | None:
        return self.all().get(slug)

    def adapter(self, vendor: Vendor) -> Adapter:
        """Return the adapter of `vendor`, made anew when its settings have changed. Raises
        ValueError where that fails.
        """
        key, adapter = self._adapters.get(vendor.slug, (None, None))
        if adapter is None or key != vendor.settings_key:
            adapter = make(vendor)
            self._adapters[vendor.slug] = (vendor.settings_key, adapter)
        return adapter

    def forget(self) -> None:
        """Read the store at the next question; a process that has just written a vendor sees it at
        once.
        """
        # The lock, for another thread may be reading: what it asked for before our write must not
        # count as fresh.
        with self._lock:
            self._read_at = NEVER


def listed(slugs: Iterable[str]) -> str:
    """Return vendors as a sentence names them, not too many of them."""
    names = sorted(slugs)
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return (", ".join(names[:MAX_LISTED]) or "none") + more


catalogue = Catalogue()
