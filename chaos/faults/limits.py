"""Limits and keys are edited, and keys stop working, while everything runs."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chaos.faults.kind import registry
from chaos.faults.vendors import write_until_stored
from chaos.journal import Edit
from chaos.limits.definitions import (
    CREDENTIAL,
    CREDENTIALS,
    KEYS,
    LIMITS,
    MEMBERS,
    OTHER_MEMBERS,
    POOL,
    SPARE,
)
from chaos.system import System
from vendors.models import Credential, Limit, Vendor

# How a limit's windows are changed: one with less and one with more room.
FACTORS = (0.4, 0.7, 1.5)

KINDS, fault = registry("limits")


@fault()
def limit_changed(system: System, chance: random.Random) -> str:
    slug, factor = chance.choice(["team", "key", "crew"]), chance.choice(FACTORS)
    changed = scaled(LIMITS[slug]["windows"], factor)
    set_windows(system, slug, changed)
    time.sleep(chance.uniform(2, 6))
    set_windows(system, slug, LIMITS[slug]["windows"])
    return f"{slug} to {changed} and back"


@fault()
def vendor_changes_limits(system: System, chance: random.Random) -> str:
    """It joins a limit, leaves one, or moves to another."""
    slug = chance.choice(list(OTHER_MEMBERS))
    limits = chance.choice(OTHER_MEMBERS[slug])
    set_limits(system, slug, MEMBERS[slug], limits)
    time.sleep(chance.uniform(2, 6))
    set_limits(system, slug, limits, MEMBERS[slug])
    return f"{slug} to {limits} and back"


@fault()
def key_retired(system: System, chance: random.Random) -> str:
    """Another one takes its place. Jobs that were called with it are still polled with it."""
    set_pool(system, (POOL[1], SPARE))
    time.sleep(chance.uniform(3, 8))
    set_pool(system, POOL)
    return f"{POOL[0]} and back"


def scaled(windows: str, factor: float) -> str:
    """Return windows of the same lengths with other numbers of calls."""
    parts = (part.strip().partition("/") for part in windows.split(","))
    return ", ".join(f"{int(int(calls) * factor)}/{period}" for calls, _, period in parts)


def set_windows(system: System, slug: str, windows: str) -> None:
    def write() -> None:
        limit = Limit.objects.get(slug=slug)
        limit.definition = {**limit.definition, "windows": windows}
        limit.full_clean()
        limit.save(update_fields=["definition"])

    edit(system, write, {("windows", slug): windows})


def set_limits(system: System, slug: str, before: Sequence[str], after: Sequence[str]) -> None:
    def write() -> None:
        vendor = Vendor.objects.get(slug=slug)
        vendor.definition = {**vendor.definition, "limits": list(after)}
        vendor.save(update_fields=["definition"])

    changed = sorted({*before} ^ {*after})
    edit(system, write, {(f"membership in {limit}", slug): limit in after for limit in changed})


def set_pool(system: System, keys: Sequence[str]) -> None:
    def write() -> None:
        credential = Credential.objects.get(slug=CREDENTIAL)
        retired = [name for name in KEYS if name not in keys]
        pool = {"keys_env": list(keys), "retired_env": retired}
        credential.definition = {**CREDENTIALS[CREDENTIAL], **pool}
        credential.full_clean()
        credential.save(update_fields=["definition"])

    edit(system, write, {("pool", CREDENTIAL): tuple(keys)})


def edit(system: System, write: Callable[[], None], changes: Mapping[tuple[str, str], Any]) -> None:
    """Write a change as an operator would, and note what it changes."""
    began = time.time()
    write_until_stored(write)
    for (what, slug), value in changes.items():
        system.journal.note_edit(Edit(began, time.time(), what, slug, value))
