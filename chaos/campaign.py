"""One campaign: start everything, submit jobs and inject faults, heal, drain, check."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import StringIO
from itertools import product
from random import Random
from threading import Lock

from django.core.management import call_command
from django.db import connection

from chaos import bulk, history, report
from chaos.batches.client import BatchClients
from chaos.client import Clients
from chaos.faults import KINDS, Kind
from chaos.journal import Trouble
from chaos.keyring import Keyring
from chaos.limits.definitions import KEYS, LIMITS
from chaos.limits.periods import shorten_all
from chaos.schedule import Fault, schedule
from chaos.system import System
from chaos.vendors import VENDORS
from chaos.witness import Witness
from jobs.models import OPEN, Job, Status
from jobs.queue.clock import redis_clock
from jobs.queue.keys import Keys, limit_keys
from vendors import pauses
from vendors.models import CredentialKey, Vendor

DRAIN_SECONDS = 180.0
QUIET_SECONDS = 45.0  # for late callbacks, and for slots that the sweep has yet to free
CHECK_INTERVAL_SECONDS = 1.0
BATCH_SHARE = 0.25  # of the jobs, which are posted in batches


@dataclass(frozen=True)
class Options:
    seed: int
    minutes: float
    rate: float  # jobs a second
    store: str


@dataclass(frozen=True)
class Everyone:
    """All clients: those who post one job after the other, and those who post batches."""

    singly: Clients
    batches: BatchClients

    def start(self) -> None:
        self.singly.start()
        self.batches.start()

    def stop(self) -> None:
        self.singly.stop()
        self.batches.stop()


def run(options: Options, system: System) -> bool:
    """Run it, print the results, and return whether all checks passed."""
    keyring = prepare(system)
    witness = Witness(system.redis_address)
    witness.start()
    system.start()
    everyone = gather(system, options.seed, options.rate, keyring)
    unavailable = strike_under_load(options, system, everyone)
    drained_seconds, left = come_to_rest(system, everyone)
    past = history.read(options.seed, everyone.singly, everyone.batches, system)
    end = report.End(drained_seconds, left, unavailable)
    return report.write(past, witness, end, more_rows=[("keys rotated", str(keyring.rotations))])


def prepare(system: System) -> Keyring:
    """Create the store, load the vendors, and create clients with API keys."""
    shorten_all()
    call_command("migrate", verbosity=0)
    file = system.logs / "vendors.toml"
    file.write_text(system.vendors_toml())
    call_command("load_vendors", str(file), stdout=StringIO())
    keyring = Keyring()
    keyring.create()
    return keyring


def gather(system: System, seed: int, rate: float, keyring: Keyring) -> Everyone:
    """Return the clients, who together post `rate` jobs a second."""
    apis, in_batches = system.api_urls, rate * BATCH_SHARE
    singly = Clients(apis, seed, rate - in_batches, keyring, system.journal)
    return Everyone(singly, BatchClients(apis, seed, in_batches, keyring))


def strike_under_load(options: Options, system: System, clients: Everyone) -> list[str]:
    """Submit jobs and inject faults as scheduled; returns which kinds are unavailable, and why."""
    needs = {name: kind.needs(system) for name, kind in KINDS.items()}
    names = [name for name, needed in needs.items() if not needed]
    locks = {kind.part: Lock() for kind in KINDS.values()}
    seconds = options.minutes * 60
    clients.start()
    began = time.monotonic()
    with ThreadPoolExecutor(len(locks) * 2) as threads:
        for fault in schedule(options.seed, seconds, names):
            time.sleep(max(0.0, began + fault.at_seconds - time.monotonic()))
            threads.submit(strike, fault, system, KINDS, locks[KINDS[fault.name].part])
        time.sleep(max(0.0, began + seconds - time.monotonic()))
    clients.stop()
    return [f"{name} (needs {needed})" for name, needed in needs.items() if needed]


def strike(fault: Fault, system: System, kinds: Mapping[str, Kind], lock: Lock) -> None:
    kind = kinds[fault.name]
    with lock:
        began = time.time()
        system.journal.note(f"fault: {fault.name}")
        try:
            words = kind.strike(system, Random(fault.chance))
        except Exception as error:  # the report lists it, and the campaign goes on
            words = f"failed: {error!r}"
            system.journal.failures.append(f"{fault.name} {words}")
        system.journal.note(f"end of fault: {fault.name}, {words}")
        system.journal.note_trouble(Trouble(fault.name, kind.part, began, time.time()))
    connection.close()


def come_to_rest(system: System, clients: Everyone) -> tuple[float, dict[str, int]]:
    """Heal everything and wait until all jobs are final.

    Returns how many seconds that took, and what is left in Redis, by kind.
    """
    heal(system)
    drained_seconds = drain()
    bulk.retry_some_failed(system)
    drain()
    failed = set(Job.objects.filter(status=Status.FAILED).values_list("pk", flat=True))
    clients.singly.retry(failed)
    clients.batches.retry()
    drain()
    clients.batches.conclude()
    return drained_seconds, wait_until_quiet(system)


def heal(system: System) -> None:
    """Undo what the last faults left behind."""
    for proxy in system.proxies:
        proxy.heal()
    for key in CredentialKey.objects.filter(paused=True):
        system.journal.note(f"{key} was paused at the end: {key.pause_reason}")
        pauses.keys.resume(key.credential, key.name, now=redis_clock.now())
    for vendor in Vendor.objects.filter(paused=True):
        system.journal.note(f"{vendor} was paused at the end: {vendor.pause_reason}")
        vendor.paused = False
        vendor.save(update_fields=["paused"])


def drain() -> float:
    """Wait until every job is final or there is no progress; returns how many seconds it took."""
    since = progress_at = time.monotonic()
    fewest = count_open()
    while fewest and time.monotonic() - progress_at < DRAIN_SECONDS:
        time.sleep(CHECK_INTERVAL_SECONDS)
        still_open = count_open()
        if still_open < fewest:
            fewest, progress_at = still_open, time.monotonic()
    return time.monotonic() - since


def count_open() -> int:
    return Job.objects.filter(status__in=OPEN).count()


def wait_until_quiet(system: System) -> dict[str, int]:
    """Wait for late callbacks and for the sweep; returns what is left in Redis, by kind."""
    give_up_at = time.monotonic() + QUIET_SECONDS
    while system.callbacks_open() or any(left_in(system).values()):
        if time.monotonic() > give_up_at:
            break
        time.sleep(CHECK_INTERVAL_SECONDS)
    return left_in(system)


def left_in(system: System) -> dict[str, int]:
    left, client = {"entries": 0, "slots": 0}, system.redis_client
    for slug in VENDORS:
        keys = Keys(slug)
        polls = map(keys.polls_of, ("", *KEYS))
        left["entries"] += sum(map(client.xlen, (keys.jobs, keys.retries, *polls)))
        left["slots"] += client.zcard(keys.in_flight)
    for limit, key in product(LIMITS, ("", *KEYS)):
        left["slots"] += client.zcard(limit_keys(limit, key).in_flight)
    return left
