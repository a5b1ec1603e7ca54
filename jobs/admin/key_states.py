"""The states of a credential's keys in words: paused, retired, or not used by any worker."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import redis

from jobs.admin.formats import counted
from jobs.queue.heartbeat import WorkerReport
from jobs.queue.redis import hints
from jobs.queue.snapshot import Snapshot
from jobs.recovery.unusable import everywhere, reports
from vendors.definitions.faults import DefinitionFaults
from vendors.models import Credential, Vendor

NOT_USED = "not used: no worker has it"


def workers() -> Sequence[WorkerReport]:
    """Return the reports of the live workers; none if Redis does not answer."""
    try:
        return reports(hints())
    except redis.RedisError:
        return []


def lacking(credential: Credential, alive: Iterable[WorkerReport]) -> set[str]:
    """Return the keys that no live worker can use."""
    found = everywhere(alive)
    return {name for name in credential.key_names if f"{credential.slug}/{name}" in found}


def words(
    credential: Credential, alive: Iterable[WorkerReport], now: datetime
) -> dict[str, list[str]]:
    """Return what is to be known of each key, by name: "paused", "retired", NOT_USED."""
    unused, retired = lacking(credential, alive), credential.retired
    found = {}
    for name in credential.key_names:
        row = credential.states.get(name)
        is_paused = row is not None and row.is_paused(now)
        known = (("paused", is_paused), ("retired", name in retired), (NOT_USED, name in unused))
        found[name] = [word for word, is_so in known if is_so]
    return found


def summary(vendor: Vendor, snapshot: Snapshot) -> str:
    """Return how many of the keys that calls are made with are out, such as "1 of 2 keys paused";
    '' if none is.
    """
    if vendor.credential is None:
        return ""
    try:
        names = vendor.credential.scheme.keys
    except DefinitionFaults:
        return ""
    of_key = words(vendor.credential, snapshot.reports, snapshot.now)
    paused = sum("paused" in of_key[name] for name in names)
    unused = sum(NOT_USED in of_key[name] and "paused" not in of_key[name] for name in names)
    counts = ((paused, "paused"), (unused, "not used, as no worker has it"))
    parts = [f"{count} of {counted(len(names), 'key')} {word}" for count, word in counts if count]
    return ", ".join(parts)
