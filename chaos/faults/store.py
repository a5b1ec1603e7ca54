"""The store is locked or frozen, or the disk is full."""

import random
import sqlite3
import time
from contextlib import closing

from django.conf import settings

from chaos.faults.kind import registry
from chaos.system import System

BALLOON_CHUNK_BYTES = 2**16

KINDS, fault = registry("store")


def needs_sqlite(system: System) -> str:
    return "" if not settings.ON_MONGODB else "SQLite"


def needs_mongodb(system: System) -> str:
    return "" if system.store else "MongoDB"


def needs_small_disk(system: System) -> str:
    return "" if system.data.is_mount() else "the right to mount a small file system"


@fault(needs_sqlite)
def store_locked(system: System, chance: random.Random) -> str:
    seconds = chance.uniform(1, 6)
    file = settings.DATABASES["default"]["NAME"]
    with closing(sqlite3.connect(file, isolation_level=None, timeout=20)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        locker.execute("ROLLBACK")
    return f"for {seconds:.1f} s"


@fault(needs_mongodb)
def store_frozen(system: System, chance: random.Random) -> str:
    seconds = chance.uniform(1, 6)
    system.freeze_store(seconds)
    return f"for {seconds:.1f} s"


@fault(needs_small_disk)
def disk_full(system: System, chance: random.Random) -> str:
    """Both the store and Redis' file are on this disk."""
    balloon = system.data / "balloon"
    try:
        with balloon.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(BALLOON_CHUNK_BYTES))
    except OSError:
        time.sleep(chance.uniform(2, 5))
    balloon.unlink()
    return "for some seconds"
