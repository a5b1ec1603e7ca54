"""Redis is killed, frozen, flushed, slow or unreachable."""

import random
import time

from chaos.faults.kind import registry
from chaos.system import System
from jobs.queue.redis import script

STEPS = {
    "take": script("limits", "admission", "take").sha,
    "renew": script("limits", "refund", "renew").sha,
    "settle": script("refund", "settle").sha,
    "rebuilding": script("rebuild").sha,
    "stopping the use of limits": script("mark_stale").sha,
    "report": script("report").sha,
    "the sweep's look": script("heads").sha,
    "adding an entry": script("add").sha,
}

KINDS, fault = registry("redis")


@fault()
def redis_killed(system: System, chance: random.Random) -> str:
    """It may lose the last second of its file."""
    system.redis.kill()
    restart(system, chance)
    return "killed, and started with its data"


@fault()
def redis_wiped(system: System, chance: random.Random) -> str:
    system.redis.kill()
    system.wipe_redis()
    restart(system, chance)
    return "killed, and started without its data"


def restart(system: System, chance: random.Random) -> None:
    time.sleep(chance.uniform(0, 2))
    system.redis.start()
    system.redis.wait_until_ready()


@fault()
def redis_frozen(system: System, chance: random.Random) -> str:
    seconds = chance.uniform(1, 6)
    system.redis.freeze(seconds)
    return f"for {seconds:.1f} s"


@fault()
def redis_flushed(system: System, chance: random.Random) -> str:
    system.flush()
    return "now"


@fault()
def redis_flushed_before_a_step(system: System, chance: random.Random) -> str:
    step = chance.choice(list(STEPS))
    system.redis_proxy.before(STEPS[step].encode(), system.flush)
    time.sleep(2)
    return step


@fault()
def redis_flushed_after_a_step(system: System, chance: random.Random) -> str:
    step = chance.choice(list(STEPS))
    system.redis_proxy.after(STEPS[step].encode(), system.flush)
    time.sleep(2)
    return step


@fault()
def reply_of_redis_lost(system: System, chance: random.Random) -> str:
    step = "take" if chance.random() < 0.5 else chance.choice(list(STEPS))
    system.redis_proxy.lose_reply(STEPS[step].encode(), count=3)
    time.sleep(2)
    return step


@fault()
def redis_slow(system: System, chance: random.Random) -> str:
    system.redis_proxy.delay_seconds = chance.uniform(0.02, 0.2)
    time.sleep(3)
    system.redis_proxy.delay_seconds = 0
    return "a delay on every command"


@fault()
def redis_connections_dropped(system: System, chance: random.Random) -> str:
    for _ in range(3):
        system.redis_proxy.drop()
        time.sleep(chance.uniform(0, 0.5))
    return "three times"


@fault()
def redis_connections_half_closed(system: System, chance: random.Random) -> str:
    system.redis_proxy.half_close()
    return "all that are open"


@fault()
def redis_refuses_connections(system: System, chance: random.Random) -> str:
    system.redis_proxy.refuse()
    system.redis_proxy.drop()
    time.sleep(chance.uniform(1, 4))
    system.redis_proxy.accept()
    return "for some seconds"
