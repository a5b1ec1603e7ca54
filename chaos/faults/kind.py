"""A kind of fault, and what several kinds share."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from chaos.system import System
from harness.proxy import Proxy

Strike = Callable[[System, random.Random], str]  # returns a description of what it did
Needs = Callable[[System], str]  # returns what the fault lacks here, or ""


@dataclass(frozen=True)
class Kind:
    """Faults of the same part happen one after the other. Others may overlap."""

    part: str
    strike: Strike
    needs: Needs = lambda system: ""


def registry(part: str) -> tuple[dict[str, Kind], Callable[..., Callable[[Strike], Strike]]]:
    """Return the kinds of a part, and the decorator that adds one under its function's name."""
    kinds: dict[str, Kind] = {}

    def fault(needs: Needs = lambda system: "", part: str = part) -> Callable[[Strike], Strike]:
        def register(strike: Strike) -> Strike:
            kinds[strike.__name__] = Kind(part, strike, needs)
            return strike

        return register

    return kinds, fault


def disturb_connections(proxy: Proxy, chance: random.Random) -> str:
    """Do one of the things that bad networks do to a proxy's connections."""
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
