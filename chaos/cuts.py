"""The partitions of a campaign: which host is cut off from what, and for how long."""

import time
from dataclasses import dataclass

from chaos.journal import Trouble
from chaos.spread import Spread

CALM_SECONDS = 2.5  # before each
# A worker without a heartbeat for five seconds, and still at the next check two seconds later, is
# dead.
DEAD_SECONDS = 12.0


@dataclass(frozen=True)
class Cut:
    host: str
    from_hosts: tuple[str, ...]  # empty for all
    seconds: float

    @property
    def name(self) -> str:
        return (
            f"{self.host} without {' and '.join(self.from_hosts)}"
            if self.from_hosts
            else f"{self.host} cut off"
        )

    @property
    def part(self) -> str:
        kind = self.host.partition("-")[0]
        return {"worker": "workers"}.get(kind, kind)


@dataclass(frozen=True)
class Outage:
    """A cut that has taken place."""

    cut: Cut
    address: str
    began: float  # Unix seconds
    ended: float


CUTS = (
    Cut("worker-1", (), DEAD_SECONDS),
    Cut("api-1", (), 6),
    Cut("worker-2", ("redis",), DEAD_SECONDS),
    Cut("worker-3", ("store",), 9),
    # It still reaches the vendors, and records their answers late.
    Cut("worker-1", ("redis", "store"), DEAD_SECONDS),
    Cut("api-2", ("store",), 5),
    Cut("api-1", ("redis",), 5),
    Cut("webhooks-1", (), 5),
    Cut("redis", (), 6),
    Cut("store", (), 6),
)


def make(cut: Cut, system: Spread) -> Outage:
    """Cut a host off, wait, and heal it, also after an error."""
    network = system.network
    host, others = network.named(cut.host), [network.named(name) for name in cut.from_hosts]
    system.journal.note(cut.name)
    if host in system.worker_hosts and cut.from_hosts != ("store",):
        # Its heartbeats do not arrive.
        system.journal.note_end(system.worker_on(host).pid, host.name, cut.name)
    began = time.time()
    try:
        for other in others:
            network.part(host, other)
        if not others:
            network.cut_off(host)
        time.sleep(cut.seconds)
    finally:
        for other in others:
            network.rejoin(host, other)
        if not others:
            network.join(host)
    outage = Outage(cut, host.address, began, time.time())
    system.journal.note(f"{cut.name}: healed")
    system.journal.note_trouble(Trouble(cut.name, cut.part, outage.began, outage.ended))
    return outage
