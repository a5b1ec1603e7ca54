"""Vendors that a worker can't call: it has no API key for them, can't load their adapter, or can't
use their definition.

A worker takes none of their jobs, which spends no attempt and no permit, and reports them with each
heartbeat. jobs.recovery.unusable_pauses acts on the reports.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from jobs.queue.buckets import buckets_of
from jobs.queue.heartbeat import (
    WORKS_FOR_NONE,
    WorkerReport,
    live_workers,
    parse_reports,
)
from jobs.queue.keys import UNUSABLE
from vendors.catalogue import catalogue
from vendors.models import Vendor

# The report of a worker that has not checked its vendors yet: it works for none.
NOT_KNOWN_YET = WORKS_FOR_NONE


def fault(vendor: Vendor) -> str:
    """Return why this process can't call the vendor; '' if it can.

    Loads the adapter, because a call that waits for an import would reach the vendor long after its
    permit was charged.
    """
    try:
        buckets_of(vendor)
        _ = vendor.polling
        catalogue.adapter(vendor)
    except ValueError as error:
        return str(error)
    return vendor.api_key_fault or vendor.credential_fault or vendor.outbound_fault


def faults(vendors: Iterable[Vendor]) -> dict[str, str]:
    """Return why this process can't call vendors, by slug, and why it can't use some of the keys of
    those that it can call, by "credential/KEY".
    """
    found, credentials = {}, set()
    for vendor in vendors:
        if why := fault(vendor):
            found[vendor.slug] = why
        elif vendor.credential:
            credentials.add(vendor.credential)
    for credential in credentials:
        found |= {f"{credential.slug}/{key}": why for key, why in credential.faults.items() if why}
    return found


def words(name: str) -> tuple[str, str, str]:
    """Return what a name in `faults` is of, the name, and what is done with it."""
    return ("key", name, "used") if "/" in name else ("vendor", name, "called")


def report(why: Mapping[str, str], only: Iterable[str] | None) -> str:
    """Return a worker's report as text; '' if it works for all vendors and can call them."""
    return json.dumps([why, list(only) if only else None]) if why or only else ""


def reports(client: Any, texts: Mapping[str, str] | None = None) -> list[WorkerReport]:
    """Return the report of each live worker. Raises redis.RedisError."""
    texts = client.hgetall(UNUSABLE) if texts is None else texts
    return parse_reports(live_workers(client), texts)


def everywhere(workers: Iterable[WorkerReport]) -> dict[str, str]:
    """Return the vendors that none of the workers serving them can call, and why; and the keys that
    no worker can use.
    """
    workers = list(workers)
    why = {slug: reason for worker in workers for slug, reason in worker.why.items()}
    callable_ = {slug for slug in why if any(worker.serves(slug) for worker in workers)}
    return {slug: reason for slug, reason in why.items() if slug not in callable_}
