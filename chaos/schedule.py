"""When each fault happens: a pure function of the seed, so that a run can be repeated."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

MIN_SECONDS, MAX_SECONDS = 2.5, 6.5  # between two faults
CALM_SECONDS = 3.0  # before the first


@dataclass(frozen=True)
class Fault:
    at_seconds: float  # from the start
    name: str
    chance: str  # the seed of its random choices


def schedule(seed: int, seconds: float, names: Sequence[str]) -> list[Fault]:
    """Return the faults of a run in order: each kind once, then each again in another order, and so
    on.
    """
    luck = random.Random(f"{seed}/schedule")
    faults: list[Fault] = []
    waiting: list[str] = []
    at = CALM_SECONDS
    while at < seconds:
        if not waiting:
            waiting = luck.sample(sorted(names), len(names))
        faults.append(Fault(at, waiting.pop(), f"{seed}/{len(faults)}"))
        at += luck.uniform(MIN_SECONDS, MAX_SECONDS)
    return faults
