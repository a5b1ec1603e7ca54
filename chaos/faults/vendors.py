"""Vendors are down, hang, deny access, or can't be reached."""

import random
import time
from collections.abc import Callable

from django.db import Error

from chaos.faults.kind import disturb_connections, registry
from chaos.journal import Edit
from chaos.limits.definitions import CREDENTIAL, POOL
from chaos.plans import QUOTA, UNPAID
from chaos.polls.definitions import DEFINITIONS
from chaos.system import System
from chaos.vendors import VENDORS, url_of
from jobs.queue.clock import redis_clock
from vendors import pauses
from vendors.models import Vendor

STORE_TIMEOUT_SECONDS = 60.0
STORE_RETRY_SECONDS = 0.5

KINDS, fault = registry("vendor")


@fault()
def vendor_down(system: System, chance: random.Random) -> str:
    slug, mood = chance.choice(list(VENDORS)), chance.choice(["500", "503", "reset"])
    seconds = chance.uniform(2, 8)
    system.impose_mood(slug, mood, seconds)
    time.sleep(seconds)
    return f"{slug} answers {mood} for {seconds:.1f} s"


@fault()
def vendor_hangs(system: System, chance: random.Random) -> str:
    slug, seconds = chance.choice(list(VENDORS)), chance.uniform(1, 3)
    system.impose_mood(slug, "hang", seconds)
    time.sleep(seconds)
    return f"{slug} for {seconds:.1f} s"


@fault()
def vendor_denies(system: System, chance: random.Random) -> str:
    """The vendor is then paused until an operator resumes it."""
    slug = chance.choice(["quick", "limited", "signed", "polled", "lookup"])
    system.impose_mood(slug, "denied", 3)
    time.sleep(4)
    write_until_stored(lambda: pauses.resume(slug, now=redis_clock.now()))
    return slug


@fault()
def key_unpaid(system: System, chance: random.Random) -> str:
    """One key of the pool runs out of credits. After a while an operator adds some."""
    key, seconds = chance.choice(POOL), chance.uniform(3, 8)
    return break_key(system, key, "unpaid", seconds)


@fault()
def key_denied(system: System, chance: random.Random) -> str:
    """One key of the pool is refused, for polls too, until an operator resumes it."""
    key, seconds = chance.choice(POOL), chance.uniform(2, 5)
    return break_key(system, key, "denied", seconds)


def break_key(system: System, key: str, mood: str, seconds: float) -> str:
    began = time.time()
    system.impose_mood(key, mood, seconds)
    time.sleep(seconds + 0.5)
    system.journal.note_edit(Edit(began, time.time(), mood, key, seconds))
    write_until_stored(lambda: pauses.keys.resume(CREDENTIAL, key, now=redis_clock.now()))
    return f"{key} is {mood} for {seconds:.1f} s"


@fault()
def vendor_unpaid(system: System, chance: random.Random) -> str:
    """Its account runs out of credits. After a while an operator adds some, and resumes it."""
    slug, mood = chance.choice(list(DEFINITIONS)), chance.choice(UNPAID)
    seconds = chance.uniform(2, 6)
    system.impose_mood(slug, mood, seconds)
    time.sleep(seconds + 0.5)
    now = redis_clock.now()
    write_until_stored(lambda: pauses.resume_if_automatic(slug, ["no_credits"], now=now))
    return f"{slug} answers {mood} for {seconds:.1f} s"


@fault()
def vendor_throttles(system: System, chance: random.Random) -> str:
    """It does not say for how long."""
    slug, seconds = chance.choice([*DEFINITIONS, "limited"]), chance.uniform(1, 6)
    system.impose_mood(slug, QUOTA, seconds)
    time.sleep(seconds)
    return f"{slug} for {seconds:.1f} s"


@fault()
def vendors_refuse_connections(system: System, chance: random.Random) -> str:
    system.vendor_proxy.refuse()
    time.sleep(chance.uniform(1, 4))
    system.vendor_proxy.accept()
    return "all of them"


@fault()
def vendor_connections_disturbed(system: System, chance: random.Random) -> str:
    return disturb_connections(system.vendor_proxy, chance)


@fault()
def vendor_name_unknown(system: System, chance: random.Random) -> str:
    slug = chance.choice(list(VENDORS))
    vendors = Vendor.objects.filter(slug=slug)
    write_until_stored(lambda: vendors.update(url=url_of(slug, f"http://{slug}.invalid")))
    time.sleep(chance.uniform(1, 3))
    write_until_stored(lambda: vendors.update(url=url_of(slug, system.vendor_url)))
    return slug


def write_until_stored(write: Callable[[], object]) -> None:
    """Do what an operator would, and repeat it while the store is unavailable."""
    give_up_at = time.monotonic() + STORE_TIMEOUT_SECONDS
    while True:
        try:
            write()
        except Error:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(STORE_RETRY_SECONDS)
        else:
            return
