"""Workers are killed, restarted or frozen, or their clocks are wrong."""

import random
import time

from chaos.faults.kind import registry
from chaos.system import System
from jobs.queue.heartbeat import HEARTBEAT_TIMEOUT_SECONDS

# Longer than it takes to count as dead: no heartbeat for five seconds, and still none at the next
# check two seconds later.
FROZEN_SECONDS = HEARTBEAT_TIMEOUT_SECONDS + 5

KINDS, fault = registry("workers")


@fault()
def worker_killed(system: System, chance: random.Random) -> str:
    worker = chance.choice(system.workers)
    worker.kill()
    time.sleep(chance.uniform(0, 3))
    worker.start()
    return worker.name


@fault()
def all_workers_killed(system: System, chance: random.Random) -> str:
    for worker in system.workers:
        worker.kill()
    time.sleep(chance.uniform(0, 2))
    for worker in system.workers:
        worker.start()
    return "all"


@fault()
def worker_restarted(system: System, chance: random.Random) -> str:
    worker = chance.choice(system.workers)
    worker.end()
    worker.start()
    return worker.name


@fault()
def worker_frozen(system: System, chance: random.Random) -> str:
    worker = chance.choice(system.workers)
    worker.freeze(FROZEN_SECONDS)
    return worker.name


@fault()
def worker_clock_wrong(system: System, chance: random.Random) -> str:
    """One worker's clock is wrong from now on; another's is set right."""
    worker, other = chance.sample(system.workers, 2)
    seconds = chance.choice([-25, -5, 5, 25])
    system.skew(worker, seconds)
    system.skew(other, 0)
    for each in (worker, other):
        each.end()
        each.start()
    return f"{worker.name} by {seconds:+d} s"
