"""The faults of a campaign. Each strikes one part of the system, lasts a few seconds, and leaves it
whole again.
"""

import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from django.conf import settings
from django.db import Error

from chaos.system import System
from chaos.vendors import VENDORS
from harness.proxy import Proxy
from jobs.queue.heartbeat import HEARTBEAT_TIMEOUT_SECONDS
from jobs.queue.redis import script
from vendors import pauses
from vendors.models import Vendor

# Longer than it takes to count as dead: silent for five seconds, and again in a look two seconds
# later.
FROZEN_SECONDS = HEARTBEAT_TIMEOUT_SECONDS + 5
STEPS = {
    "take": script("limits", "take").sha,
    "renew": script("limits", "renew").sha,
    "settle": script("settle").sha,
    "report": script("report").sha,
    "the sweep's look": script("heads").sha,
    "adding an entry": "XADD",
}


@dataclass(frozen=True)
class Kind:
    """A kind of fault. Faults of the same part come one after the other, others may overlap."""

    part: str
    strike: Callable[[System, random.Random], str]  # returns in words what it did
    needs: Callable[[System], str] = lambda system: ""  # returns what is missing for it, in words


KINDS: dict[str, Kind] = {}


def fault(
    part: str, needs: Callable[[System], str] = lambda system: ""
) -> Callable[[Callable[..., str]], Callable[..., str]]:
    def register(strike: Callable[[System, random.Random], str]) -> Callable[..., str]:
        KINDS[strike.__name__] = Kind(part, strike, needs)
        return strike

    return register


def needs_sqlite(system: System) -> str:
    return "" if not settings.ON_MONGODB else "SQLite"


def needs_mongodb(system: System) -> str:
    return "" if system.store else "MongoDB"


def needs_small_disk(system: System) -> str:
    return "" if system.data.is_mount() else "the right to mount a small file system"


# Workers


@fault("workers")
def worker_killed(system: System, chance: random.Random) -> str:
    worker = chance.choice(system.workers)
    worker.kill()
    time.sleep(chance.uniform(0, 3))
    worker.start()
    return worker.name


@fault("workers")
def all_workers_killed(system: System, chance: random.Random) -> str:
    for worker in system.workers:
        worker.kill()
    time.sleep(chance.uniform(0, 2))
    for worker in system.workers:
        worker.start()
    return "all"


@fault("workers")
def worker_restarted(system: System, chance: random.Random) -> str:
    worker = chance.choice(system.workers)
    worker.end()
    worker.start()
    return worker.name


@fault("workers")
def worker_frozen(system: System, chance: random.Random) -> str:
    worker = chance.choice(system.workers)
    worker.freeze(FROZEN_SECONDS)
    return worker.name


@fault("workers")
def worker_clock_wrong(system: System, chance: random.Random) -> str:
    """From now on one worker's clock goes wrong, and another's is put right."""
    worker, other = chance.sample(system.workers, 2)
    seconds = chance.choice([-25, -5, 5, 25])
    system.skew(worker, seconds)
    system.skew(other, 0)
    for each in (worker, other):
        each.end()
        each.start()
    return f"{worker.name} by {seconds:+d} s"


# Redis


@fault("redis")
def redis_killed(system: System, chance: random.Random) -> str:
    """What it had appended to its file within the last second may be gone."""
    system.redis.kill()
    time.sleep(chance.uniform(0, 2))
    system.redis.start()
    system.redis.wait_until_ready()
    return "killed, and started with its data"


@fault("redis")
def redis_wiped(system: System, chance: random.Random) -> str:
    system.redis.kill()
    system.wipe_redis()
    time.sleep(chance.uniform(0, 2))
    system.redis.start()
    system.redis.wait_until_ready()
    return "killed, and started without its data"


@fault("redis")
def redis_frozen(system: System, chance: random.Random) -> str:
    seconds = chance.uniform(1, 6)
    system.redis.freeze(seconds)
    return f"for {seconds:.1f} s"


@fault("redis")
def redis_flushed(system: System, chance: random.Random) -> str:
    system.flush()
    return "now"


@fault("redis")
def redis_flushed_before_a_step(system: System, chance: random.Random) -> str:
    step = chance.choice(list(STEPS))
    system.redis_proxy.before(STEPS[step].encode(), system.flush)
    time.sleep(2)
    return step


@fault("redis")
def redis_flushed_after_a_step(system: System, chance: random.Random) -> str:
    step = chance.choice(list(STEPS))
    system.redis_proxy.after(STEPS[step].encode(), system.flush)
    time.sleep(2)
    return step


@fault("redis")
def reply_of_redis_lost(system: System, chance: random.Random) -> str:
    step = "take" if chance.random() < 0.5 else chance.choice(list(STEPS))
    system.redis_proxy.lose_reply(STEPS[step].encode(), count=3)
    time.sleep(2)
    return step


@fault("redis")
def redis_slow(system: System, chance: random.Random) -> str:
    system.redis_proxy.delay_seconds = chance.uniform(0.02, 0.2)
    time.sleep(3)
    system.redis_proxy.delay_seconds = 0
    return "a delay on every command"


@fault("redis")
def redis_connections_dropped(system: System, chance: random.Random) -> str:
    for _ in range(3):
        system.redis_proxy.drop()
        time.sleep(chance.uniform(0, 0.5))
    return "three times"


@fault("redis")
def redis_connections_half_closed(system: System, chance: random.Random) -> str:
    system.redis_proxy.half_close()
    return "all of that moment"


@fault("redis")
def redis_refuses_connections(system: System, chance: random.Random) -> str:
    system.redis_proxy.refuse()
    system.redis_proxy.drop()
    time.sleep(chance.uniform(1, 4))
    system.redis_proxy.accept()
    return "for some seconds"


# The doors


@fault("api")
def api_killed(system: System, chance: random.Random) -> str:
    system.api.kill()
    time.sleep(chance.uniform(0, 1))
    system.api.start()
    system.api.wait_until_ready()
    return "killed"


@fault("api")
def clients_cut_off(system: System, chance: random.Random) -> str:
    system.api_proxy.lose_reply(b"POST /jobs", count=3)
    time.sleep(1)
    return f"three answers lost; {harm(system.api_proxy, chance)}"


@fault("webhooks")
def webhooks_killed(system: System, chance: random.Random) -> str:
    system.webhooks.kill()
    time.sleep(chance.uniform(0, 1))
    system.webhooks.start()
    system.webhooks.wait_until_ready()
    return "killed"


@fault("webhooks")
def callbacks_cut_off(system: System, chance: random.Random) -> str:
    system.webhooks_proxy.lose_reply(b"POST /vendor-webhook", count=5)
    time.sleep(1)
    system.webhooks_proxy.drop()
    return "five answers lost, connections dropped"


# The store


@fault("store", needs_sqlite)
def store_locked(system: System, chance: random.Random) -> str:
    seconds = chance.uniform(1, 6)
    with closing(
        sqlite3.connect(settings.DATABASES["default"]["NAME"], isolation_level=None, timeout=20)
    ) as locker:
        locker.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        locker.execute("ROLLBACK")
    return f"for {seconds:.1f} s"


@fault("store", needs_mongodb)
def store_frozen(system: System, chance: random.Random) -> str:
    seconds = chance.uniform(1, 6)
    system.freeze_store(seconds)
    return f"for {seconds:.1f} s"


@fault("store", needs_small_disk)
def disk_full(system: System, chance: random.Random) -> str:
    """Both the store and Redis' file lie there."""
    balloon = system.data / "balloon"
    try:
        with balloon.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(2**16))
    except OSError:
        time.sleep(chance.uniform(2, 5))
    balloon.unlink()
    return "for some seconds"


# Vendors


@fault("vendor")
def vendor_down(system: System, chance: random.Random) -> str:
    slug, mood, seconds = (
        chance.choice(list(VENDORS)),
        chance.choice(["500", "503", "reset"]),
        chance.uniform(2, 8),
    )
    system.tell_vendor(slug, mood, seconds)
    time.sleep(seconds)
    return f"{slug} answers {mood} for {seconds:.1f} s"


@fault("vendor")
def vendor_hangs(system: System, chance: random.Random) -> str:
    slug, seconds = chance.choice(list(VENDORS)), chance.uniform(1, 3)
    system.tell_vendor(slug, "hang", seconds)
    time.sleep(seconds)
    return f"{slug} for {seconds:.1f} s"


@fault("vendor")
def vendor_denies(system: System, chance: random.Random) -> str:
    """It is paused by that, until an operator resumes it."""
    slug = chance.choice(["quick", "limited", "signed"])
    system.tell_vendor(slug, "denied", 3)
    time.sleep(4)
    in_the_store(lambda: pauses.resume(slug))
    return slug


@fault("vendor")
def vendors_refuse_connections(system: System, chance: random.Random) -> str:
    system.vendor_proxy.refuse()
    time.sleep(chance.uniform(1, 4))
    system.vendor_proxy.accept()
    return "all of them"


@fault("vendor")
def vendor_connections_harmed(system: System, chance: random.Random) -> str:
    return harm(system.vendor_proxy, chance)


@fault("vendor")
def vendor_name_unknown(system: System, chance: random.Random) -> str:
    slug = chance.choice(list(VENDORS))
    vendors = Vendor.objects.filter(slug=slug)
    in_the_store(lambda: vendors.update(url=f"http://{slug}.invalid/{slug}"))
    time.sleep(chance.uniform(1, 3))
    in_the_store(lambda: vendors.update(url=f"{system.vendor_url}/{slug}"))
    return slug


def harm(proxy: Proxy, chance: random.Random) -> str:
    """Do to a proxy's connections one of the things that bad networks do."""
    match chance.choice(["drop", "half-close", "delay"]):
        case "drop":
            return f"{proxy.drop()} connections dropped"
        case "half-close":
            return f"{proxy.half_close()} connections half closed"
        case _:
            proxy.delay_seconds = chance.uniform(0.05, 0.5)
            time.sleep(3)
            proxy.delay_seconds = 0
            return "all connections slow for 3 s"


def in_the_store(write: Callable[[], object], patience_seconds: float = 60) -> None:
    """Do what an operator would, however often it takes while the store is away."""
    give_up_at = time.monotonic() + patience_seconds
    while True:
        try:
            write()
        except Error:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.5)
        else:
            return
