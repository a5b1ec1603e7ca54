"""The API and the receiver of callbacks are killed, or their clients cut off."""

import random
import time

from chaos.faults.kind import disturb_connections, registry
from chaos.process import Part
from chaos.system import System

KINDS, fault = registry("api")


@fault()
def api_killed(system: System, chance: random.Random) -> str:
    return kill(system.api, chance)


@fault()
def clients_cut_off(system: System, chance: random.Random) -> str:
    system.api_proxy.lose_reply(b"POST /jobs", count=3)
    time.sleep(1)
    return f"three replies lost; {disturb_connections(system.api_proxy, chance)}"


@fault()
def uploads_cut_off(system: System, chance: random.Random) -> str:
    system.api_proxy.lose_reply(b"POST /batches", count=2)
    time.sleep(chance.uniform(1, 3))
    return f"two replies lost, {system.api_proxy.drop()} connections dropped"


@fault(part="webhooks")
def webhooks_killed(system: System, chance: random.Random) -> str:
    return kill(system.webhooks, chance)


@fault(part="webhooks")
def callbacks_cut_off(system: System, chance: random.Random) -> str:
    system.webhooks_proxy.lose_reply(b"POST /vendor-webhook", count=5)
    time.sleep(1)
    system.webhooks_proxy.drop()
    return "five replies lost, connections dropped"


def kill(part: Part, chance: random.Random) -> str:
    part.kill()
    time.sleep(chance.uniform(0, 1))
    part.start()
    part.wait_until_ready()
    return "killed"
