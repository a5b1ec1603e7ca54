"""`manage.py vendor list`: the vendors and limits of this installation, and the gallery."""

import textwrap
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlsplit

from jobs.admin import key_states, states
from jobs.management.vendor.calling import restart_hint
from jobs.management.vendor.variables import credential_variables
from jobs.queue.snapshot import Snapshot, take_snapshot
from vendors import variables
from vendors.catalogue import catalogue, listed
from vendors.definitions.faults import DefinitionFaults
from vendors.definitions.limit import parse_limit
from vendors.loading import gallery
from vendors.models import Limit, Vendor, uses
from vendors.validators import without_method

MAX_STATE_LENGTH = 60  # in the table; all of it stands below
VENDOR_HEADINGS = ("VENDOR", "ADAPTER", "HOST", "STATE", "CREDENTIAL")
LIMIT_HEADINGS = ("LIMIT", "WINDOWS", "IN FLIGHT", "QUOTA", "PER", "USED BY")
GALLERY_HEADINGS = ("GALLERY", "ADDED AS", "DESCRIPTION")
NO_VENDORS = "There are no vendors yet. `vendor add NAME` adds one from the gallery."
NO_REDIS = "Redis does not answer, so open breakers are not shown."


def listing() -> dict[str, Any]:
    """Return the lists as JSON shows them."""
    vendors = sorted(catalogue.all().values(), key=lambda vendor: vendor.slug)
    snapshot = take_snapshot(vendors)
    rows = [_row(vendor, snapshot) for vendor in vendors]
    offered = [
        {
            "name": name,
            "description": gallery.description(name),
            "added_as": _added_as(name, vendors),
        }
        for name in gallery.names()
    ]
    limits = [_limit(limit, vendors) for limit in Limit.objects.all()]
    answers = snapshot.redis_answers
    return {"vendors": rows, "limits": limits, "gallery": offered, "redis_answers": answers}


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lists as tables."""
    vendors = [
        (row["slug"], row["adapter"], row["host"], _shortened(row["state"]), _credential(row))
        for row in found["vendors"]
    ]
    yield from _table(VENDOR_HEADINGS, vendors) if vendors else [NO_VENDORS]
    for row in found["vendors"]:
        if row["state"] != _shortened(row["state"]):  # its end may say what to do
            yield f"{row['slug']}: {row['state']}"
    yield from (f"{row['slug']}: {row['hint']}" for row in found["vendors"] if row["hint"])
    if not found["redis_answers"]:
        yield NO_REDIS
    if found["limits"]:
        yield ""
        yield from _table(LIMIT_HEADINGS, [_limit_cells(limit) for limit in found["limits"]])
    yield ""
    yield from _table(
        GALLERY_HEADINGS,
        [
            (entry["name"], ", ".join(entry["added_as"]) or "-", entry["description"])
            for entry in found["gallery"]
        ],
    )


def _row(vendor: Vendor, snapshot: Snapshot) -> dict[str, Any]:
    state = states.vendor_state(vendor, snapshot)
    return {
        "slug": vendor.slug,
        "adapter": vendor.adapter,
        "host": urlsplit(without_method(vendor.url)).netloc.rpartition("@")[2],
        "enabled": vendor.enabled,
        "state": state if vendor.enabled else f"disabled; {state}",
        "credential": vendor.definition.get("credential") or "",
        "limits": vendor.limit_names,
        "hint": restart_hint(vendor),
        "variables": list(_variables(vendor, snapshot)),
    }


def _variables(vendor: Vendor, snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Yield the variables of the vendor's credential, with the states of the keys in them."""
    credential, of_keys = vendor.credential, {}
    if credential:
        of_keys = key_states.words(credential, snapshot.reports, snapshot.now)
    for name in credential_variables(vendor):
        is_set = not variables.missing(name)
        yield {"name": name, "is_set": is_set, "states": of_keys.get(name, [])}


def _limit(limit: Limit, vendors: Iterable[Vendor]) -> dict[str, Any]:
    users = [vendor.slug for vendor in vendors if uses(vendor, limit)]
    return {"slug": limit.slug, "definition": limit.definition, "vendors": users}


def _limit_cells(row: dict[str, Any]) -> tuple[str, ...]:
    definition = row["definition"]
    try:
        quota = parse_limit(definition).quota
    except DefinitionFaults:  # `check` says what is wrong
        quota = definition.get("quota")
    others = (definition.get(name) for name in ("windows", "max_in_flight"))
    cells = (*others, quota, definition.get("per"), listed(row["vendors"]))
    return (row["slug"], *(str(cell or "-") for cell in cells))


def _added_as(name: str, vendors: Iterable[Vendor]) -> list[str]:
    """Return the slugs of the vendors that were added from the entry, also under another slug."""
    tables = gallery.vendors(name)
    urls = {table["url"] for table in tables.values()}
    return [each.slug for each in vendors if each.slug in tables or each.url in urls]


def _shortened(state: str) -> str:
    return textwrap.shorten(state, MAX_STATE_LENGTH, placeholder=" ...")


def _credential(row: dict[str, Any]) -> str:
    shown = (
        f"{each['name']} ({', '.join([_here(each['is_set']), *each['states']])})"
        for each in row["variables"]
    )
    return ", ".join(shown) or "none"


def _here(is_set: bool) -> str:
    return "set here" if is_set else "not set here"


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    table = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
