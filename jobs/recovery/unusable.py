"""Vendors that a worker can't call: its environment has no API key for them, or their adapter can't
be loaded.

A worker takes none of their jobs, so that no attempt and no permit is spent, and says with each
beat which ones these are. A vendor that none of the live workers can call is paused by whoever
leads the sweep, and goes on by itself when one can.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from jobs.queue.heartbeat import live_workers
from jobs.queue.keys import HEARTBEATS, UNUSABLE
from jobs.queue.redis import commands
from vendors import pauses
from vendors.catalogue import catalogue
from vendors.models import Vendor

log = logging.getLogger(__name__)

CHECK_INTERVAL_SECONDS = 2.0
# the report of a worker that has not looked at its vendors: it is for none of them yet
NOT_KNOWN_YET = "[{}, []]"
REASON = "No worker can call it: "  # how the reason of our own pauses begins


class Report(NamedTuple):
    """What one worker says: why it can't call these vendors, and which it works for at all (None:
    all).
    """

    why: dict[str, str]
    only: list[str] | None


def fault(vendor: Vendor) -> str:
    """Return why this process can't call the vendor; empty where it can. Loads the adapter.

    A first call that waits for an import would reach its vendor long after its permit.
    """
    try:
        _ = vendor.windows
        catalogue.adapter(vendor)
    except ValueError as error:
        return str(error)
    return vendor.api_key_fault


def report(why: Mapping[str, str], only: Iterable[str] | None) -> str:
    """Return what a worker says with its beat; empty where it can call all vendors."""
    return json.dumps([why, list(only) if only else None]) if why or only else ""


def reports(client: Any, said: Mapping[str, str] | None = None) -> list[Report]:
    """Return what each live worker says. Raises redis.RedisError."""
    said = client.hgetall(UNUSABLE) if said is None else said
    return [Report(*json.loads(said.get(worker, "[{}, null]"))) for worker in live_workers(client)]


def everywhere(said: Iterable[Report]) -> dict[str, str]:
    """Return the vendors that no worker can call which works for them, and why."""
    said = list(said)
    why = {slug: sentence for one in said for slug, sentence in one.why.items()}
    able = {
        slug
        for slug in why
        for one in said
        if slug not in one.why and (one.only is None or slug in one.only)
    }
    return {slug: sentence for slug, sentence in why.items() if slug not in able}


class Pauses:
    """Pauses what no worker can call, where two looks have found it so: after a restart of Redis
    not all beat at once.
    """

    def __init__(self) -> None:
        self._found: dict[str, str] = {}

    def look(self) -> int:
        """Look once. Raises redis.RedisError and STORE_ERRORS."""
        vendors, said, before = catalogue.all().values(), commands().hgetall(UNUSABLE), self._found
        self._found = {}
        if not said and not any(map(_is_ours, vendors)):
            return 0
        alive = reports(commands(), said)
        self._found = everywhere(alive)
        for vendor in vendors:
            why = self._found.get(vendor.slug, "")
            if why and vendor.slug in before:
                _pause(vendor, why)
            elif alive and not why and _is_ours(vendor):
                _resume(vendor)
        _forget_the_gone(said)
        return 0


def _is_ours(vendor: Vendor) -> bool:
    return vendor.paused and not vendor.paused_by and vendor.pause_reason.startswith(REASON)


def _pause(vendor: Vendor, why: str) -> None:
    reason = f"{REASON}{why}"[:200]
    if vendor.paused and not (_is_ours(vendor) and vendor.pause_reason != reason):
        return
    if vendor.paused:
        changed = _own_pause(vendor).update(pause_reason=reason)
        catalogue.forget()
    else:
        changed = pauses.pause(vendor.slug, reason)
    if changed:
        log.error("vendor %s is paused: no worker can call it. %s", vendor, why)


def _resume(vendor: Vendor) -> None:
    if _own_pause(vendor).update(paused=False, pause_reason="", paused_at=None):
        log.info("vendor %s goes on: a worker can call it", vendor)
    catalogue.forget()


def _own_pause(vendor: Vendor) -> Any:
    """Return the row, as long as it is as we have seen it: an operator's pause stays."""
    return Vendor.objects.filter(
        slug=vendor.slug, paused=True, paused_by="", pause_reason=vendor.pause_reason
    )


def _forget_the_gone(workers: Iterable[str]) -> None:
    """Drop the reports of those that were taken over."""
    if gone := [worker for worker in workers if commands().zscore(HEARTBEATS, worker) is None]:
        commands().hdel(UNUSABLE, *gone)
