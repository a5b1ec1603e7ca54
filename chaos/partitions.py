"""A campaign of partitions: each part on its own host, cut off and healed one after the other under
load.
"""

import time
from dataclasses import dataclass
from functools import partial

from chaos import across, campaign, history, report
from chaos.campaign import Everyone
from chaos.checks import CHECKS
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
    """Run it, print the results, and return whether all checks passed."""
    system.start_store()
    keyring = campaign.prepare(system)
    witness = Witness(system.redis_address)
    witness.start()
    system.start()
    clients = campaign.gather(system, options.seed, options.rate, keyring)
    outages = cut_under_load(options, system, clients)
    drained_seconds, left = campaign.come_to_rest(system, clients)
    past = history.read(options.seed, clients.singly, clients.batches, system)
    workers = {host.address: host.name for host in system.worker_hosts}
    more_checks: dict[str, Check] = {
        "unknown at the other API host": across.unknown_elsewhere,
        "calls without Redis or the store": partial(across.blind_calls, outages=outages),
        "hosts without a share of the limit": partial(across.idle, workers=workers),
        "hosts slow to recover": partial(across.slow_recoveries, outages=outages, workers=workers),
    }
    rows = [*across.rows(past, outages, workers), ("keys rotated", str(keyring.rotations))]
    end = report.End(drained_seconds, left)
    return report.write(past, witness, end, checks=CHECKS | more_checks, more_rows=rows)


def cut_under_load(options: Options, system: Spread, clients: Everyone) -> list[Outage]:
    outages = []
    clients.start()
    for cut in CUTS * options.rounds:
        time.sleep(CALM_SECONDS)
        outages.append(make(cut, system))
    time.sleep(CALM_SECONDS)
    clients.stop()
    return outages
