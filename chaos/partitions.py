"""A campaign of partitions: everything on hosts of its own, cut off and healed one after the other
under load.
"""

import time
from dataclasses import dataclass
from functools import partial

from chaos import across, campaign, history, report
from chaos.checks import CHECKS
from chaos.client import Clients
from chaos.cuts import CALM_SECONDS, CUTS, Outage, make
from chaos.report import Check
from chaos.spread import Spread
from chaos.witness import Witness


@dataclass(frozen=True)
class Options:
    seed: int
    rate: float  # jobs a second
    rounds: int


def run(options: Options, system: Spread) -> bool:
    """Run it, print what it found, and return whether all held."""
    system.start_store()
    campaign.prepare(system)
    witness = Witness(system.redis_address)
    witness.start()
    system.start()
    clients = Clients(system.api_urls, options.seed, options.rate)
    outages = cut_under_load(options, system, clients)
    drained_seconds, left = campaign.come_to_rest(system, clients)
    past = history.read(options.seed, clients.posted, system.ledger, system.journal)
    workers = {host.address: host.name for host in system.worker_hosts}
    besides: dict[str, Check] = {
        "unknown at the other API host": across.unseen,
        "calls without Redis or the store": partial(across.blind_calls, outages=outages),
        "hosts that shared no limit": partial(across.idle, workers=workers),
        "hosts not back at work in time": partial(
            across.not_back, outages=outages, workers=workers
        ),
    }
    return report.write(
        past, witness, left=left, missing=[], drained_seconds=drained_seconds,
        checks=CHECKS | besides, rows_besides=list(across.rows(past, outages, workers)),
    )  # fmt: skip


def cut_under_load(options: Options, system: Spread, clients: Clients) -> list[Outage]:
    outages = []
    clients.start()
    for cut in CUTS * options.rounds:
        time.sleep(CALM_SECONDS)
        outages.append(make(cut, system))
    time.sleep(CALM_SECONDS)
    clients.stop()
    return outages
